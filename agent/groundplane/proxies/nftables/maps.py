"""The maps of slots that rules draw from, and of session affinity."""

from dataclasses import dataclass
from typing import Final

from groundplane.dataplanes.nftables.maps import HANDLE, IPV4, IPV6, PORT, Field, Map
from groundplane.kernel import owned
from groundplane.kernel.tables import Table
from groundplane.net.protocols import Family


@dataclass(frozen=True)
class SlotMaps:
    """The maps of one IP family's table."""

    slots: Map  # pool . slot : endpoint's address . port
    choices: Map  # pool . slot : number of an endpoint, for services with session affinity
    endpoints: Map  # number of an endpoint : its address . port
    affinity: Map
    """pool . client : number of the client's endpoint. Packets write it, not the agent. An IPv6
    client is stored as two hashes of its address, see rules.py."""


def _maps(code: int, family: str, address: Field, client: tuple[Field, ...]) -> SlotMaps:
    table = Table(family, owned.SERVICES_TABLE)
    return SlotMaps(
        slots=Map(code, table, "slots", (HANDLE, HANDLE), (address, PORT)),
        choices=Map(code + 1, table, "choices", (HANDLE, HANDLE), (HANDLE,)),
        endpoints=Map(code + 2, table, "endpoints", (HANDLE,), (address, PORT)),
        affinity=Map(code + 3, table, "affinity", (HANDLE, *client), (HANDLE,)),
    )


MAPS: Final[dict[Family, SlotMaps]] = {
    "IPv4": _maps(32, "ip", IPV4, (IPV4,)),
    "IPv6": _maps(36, "ip6", IPV6, (HANDLE, HANDLE)),
}
