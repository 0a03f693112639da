"""The maps of every mode that looks up frontends in nftables."""

from dataclasses import dataclass, fields
from typing import Final

from groundplane.dataplanes.nftables.maps import HANDLE, IPV4, IPV6, PORT, PROTOCOL, Field, Map
from groundplane.kernel import owned
from groundplane.kernel.tables import Table
from groundplane.net.protocols import Family


@dataclass(frozen=True)
class FrontendMaps:
    """The maps of one IP family's table."""

    cluster_ips: Map  # address . protocol . port : handle
    external_ips: Map  # the same for addresses reachable from outside, including node ports
    handles: Map  # pool : handle, of those that a connection comes back to
    source_ranges: Map  # pool | length of prefix . first address
    service_addresses: Map  # every address that has a service

    @property
    def all(self) -> tuple[Map, ...]:
        return tuple(getattr(self, each.name) for each in fields(self))


def _maps(code: int, family: str, address: Field) -> FrontendMaps:
    table = Table(family, owned.SERVICES_TABLE)
    return FrontendMaps(
        cluster_ips=Map(code, table, "cluster_ips", (address, PROTOCOL, PORT), (HANDLE,)),
        external_ips=Map(code + 1, table, "external_ips", (address, PROTOCOL, PORT), (HANDLE,)),
        handles=Map(code + 2, table, "handles", (HANDLE,), (HANDLE,)),
        source_ranges=Map(code + 3, table, "source_ranges", (HANDLE, address)),
        service_addresses=Map(code + 4, table, "service_addresses", (address,)),
    )


MAPS: Final[dict[Family, FrontendMaps]] = {
    "IPv4": _maps(16, "ip", IPV4),
    "IPv6": _maps(21, "ip6", IPV6),
}
