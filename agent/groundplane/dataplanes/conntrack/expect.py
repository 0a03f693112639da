"""`render`: the part of a NodeState to who may answer at each UDP place. Pure."""

from collections.abc import Iterable

from groundplane.dataplanes.conntrack.flows import Flow, Place, Range, Scope
from groundplane.model.address import family_of, first_last, pack
from groundplane.model.service import Family
from groundplane.project.state import NodeBase, Part, ServicePort, VirtualService

Endpoints = frozenset[Place]
Object = Place | Flow  # a place where somebody answers, or a stale entry, which nobody wants


def render(base: NodeBase, part: Part) -> dict[Object, Endpoints]:
    """Return the endpoints that serve at each place of *part*: none of TCP, and none of the base."""
    if not isinstance(part, VirtualService) or not part.cluster_ips:
        return {}
    places: dict[Object, Endpoints] = {}
    for port in part.ports:
        if port.protocol != "UDP":
            continue
        serving = {family: _serving(port, family) for family in map(family_of, part.cluster_ips)}
        for text in part.cluster_ips + part.external_ips + part.load_balancer_ips:
            places[pack(text), port.port] = serving[family_of(text)]
        for text in base.addresses:
            if port.node_port and family_of(text) in serving:
                places[pack(text), port.node_port] = serving[family_of(text)]
    return places


def _serving(port: ServicePort, family: Family) -> Endpoints:
    targets = port.targets(family)
    listed = targets.cluster if targets.serving is None else targets.serving
    return frozenset((each[:-4], int.from_bytes(each[-4:-2], "big")) for each in listed)


def scope_of(base: NodeBase) -> Scope:
    """Return where every translated flow is a service's."""
    peers = (text for peer in base.peers for text in peer.addresses)
    return Scope(
        services=_ranges(base.service_cidrs + base.external_cidrs),
        workloads=_ranges(base.workload_cidrs),
        here=frozenset(map(pack, base.addresses)),
        nodes=frozenset(map(pack, (*base.addresses, *peers))),
        node_ports=base.node_ports,
    )


def _ranges(cidrs: Iterable[str]) -> tuple[Range, ...]:
    found = []
    for cidr in cidrs:
        width = 4 if family_of(cidr) == "IPv4" else 16
        first, last = (number.to_bytes(width, "big") for number in first_last(cidr))
        found.append(Range(first, last))
    return tuple(found)
