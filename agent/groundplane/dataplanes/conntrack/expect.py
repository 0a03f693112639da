"""`render`: the part of a NodeState to the allowed targets of flows to its frontends. Pure."""

from collections.abc import Iterable

from groundplane.dataplanes.conntrack.flows import Flow, FlowTargets, Frontend, Range, Scope
from groundplane.net.address import family_of, first_last, pack
from groundplane.net.protocols import NUMBERS, Family
from groundplane.project.state import NodeBase, Part, VirtualPort, VirtualService

ExpectedObject = (
    Frontend | Flow
)  # a frontend with its targets, or a stale entry, which is never desired


def render(base: NodeBase, part: Part) -> dict[ExpectedObject, FlowTargets]:
    """Return the targets of each frontend of *part*; the base has no frontends."""
    if not isinstance(part, VirtualService) or not part.cluster_ips:
        return {}
    found: dict[ExpectedObject, FlowTargets] = {}
    families = [family_of(text) for text in part.cluster_ips]
    outside = part.external_ips + part.load_balancer_ips
    for port in part.ports:
        number = NUMBERS[port.protocol]
        targets = {family: _targets(port, family) for family in families}
        for text in part.cluster_ips + outside:
            found[pack(text), port.port, number] = targets[family_of(text)]
        if port.node_port:
            for text in base.addresses:
                if (family := family_of(text)) in targets:
                    found[pack(text), port.node_port, number] = targets[family]
    return found


def _targets(port: VirtualPort, family: Family) -> FlowTargets:
    """Return the targets of flows: for TCP those of new connections, by either policy."""
    found = port.targets(family)
    if found.serving is not None:
        return found.serving
    if port.protocol == "TCP" and not set(found.local) <= set(found.cluster):
        return found.cluster + found.local
    return found.cluster


def scope_of(base: NodeBase) -> Scope:
    """Return the scope in which every translated flow belongs to a service."""
    peers = (text for peer in base.peers for text in peer.addresses)
    return Scope(
        services=_ranges(base.service_cidrs),
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
