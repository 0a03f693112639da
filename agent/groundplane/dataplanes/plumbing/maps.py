"""The sets of the plumbing."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

from groundplane.dataplanes.nftables.maps import ETHER, IFNAME, IPV4, IPV6, RAW_IPV6, Field, Map
from groundplane.kernel import owned
from groundplane.kernel.tables import Table
from groundplane.net.protocols import Family
from groundplane.project.state import NodeBase

_BRIDGE: Final = Table("bridge", owned.TABLE)


@dataclass(frozen=True)
class PlumbingMaps:
    """The sets of one IP family; *guard* and *announced* are in the bridge's table."""

    nodes: Map  # addresses of all nodes
    hairpin: Map  # own address . own address of this node's workloads
    guard: Map  # bridge port . its workload's hardware address . source of what it may send
    announced: Map  # the same, with the addresses it may announce by ARP or neighbour discovery
    subnets: Map  # first addresses of the subnets of all nodes
    tunnel_nodes: Map  # addresses of the nodes that the overlay reaches

    @property
    def all(self) -> tuple[Map, ...]:
        return tuple(getattr(self, each.name) for each in fields(self))


def _maps(code: int, family: str, address: Field, announced: Field) -> PlumbingMaps:
    table = Table(family, owned.TABLE)
    return PlumbingMaps(
        nodes=Map(code, table, "nodes", (address,)),
        hairpin=Map(code + 1, table, "hairpin", (address, address)),
        guard=Map(code + 2, _BRIDGE, f"workloads_{family}", (IFNAME, ETHER, address)),
        announced=Map(code + 3, _BRIDGE, f"announced_{family}", (IFNAME, ETHER, announced)),
        subnets=Map(code + 4, table, "subnets", (address,)),
        tunnel_nodes=Map(code + 5, table, "tunnel_nodes", (address,)),
    )


MAPS: Final[dict[Family, PlumbingMaps]] = {
    "IPv4": _maps(0, "ip", IPV4, IPV4),
    "IPv6": _maps(6, "ip6", IPV6, RAW_IPV6),
}


def maps_of(base: NodeBase) -> Sequence[Map]:
    """Return the plumbing's sets for *base*."""
    found = [each for family in base.families for each in MAPS[family].all]
    if base.overlay is None:
        of_overlay = [each.tunnel_nodes for each in MAPS.values()]
        found = [each for each in found if each not in of_overlay]
    others = [each for family, each in MAPS.items() if family not in base.families]
    return found + [map_ for each in others for map_ in (each.guard, each.announced)]
