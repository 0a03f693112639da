"""The nftables maps that only IPVS needs."""

from dataclasses import dataclass, fields
from typing import Final

from groundplane.dataplanes.nftables.maps import HANDLE, IPV4, IPV6, PORT, PROTOCOL, Field, Map
from groundplane.kernel import owned
from groundplane.kernel.tables import Table
from groundplane.net.protocols import Family


@dataclass(frozen=True)
class IpvsMaps:
    """The maps of one IP family's table."""

    marks: Map  # pool : mark that leads to it
    untranslated: Map  # address . protocol . port of frontends that IPVS forwards untranslated
    untranslated_addresses: Map  # their addresses, to match ICMP errors about such packets

    @property
    def all(self) -> tuple[Map, ...]:
        return tuple(getattr(self, each.name) for each in fields(self))


def _maps(code: int, family: str, address: Field) -> IpvsMaps:
    table = Table(family, owned.SERVICES_TABLE)
    return IpvsMaps(
        marks=Map(code, table, "marks", (HANDLE,), (HANDLE,)),
        untranslated=Map(code + 1, table, "untranslated", (address, PROTOCOL, PORT)),
        untranslated_addresses=Map(code + 2, table, "untranslated_addresses", (address,)),
    )


MAPS: Final[dict[Family, IpvsMaps]] = {
    "IPv4": _maps(48, "ip", IPV4),
    "IPv6": _maps(51, "ip6", IPV6),
}
