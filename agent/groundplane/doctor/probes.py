"""The packets that have to pass a node: what its filters are tried with. Pure."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from msgspec.structs import replace

from groundplane.doctor.examples import Examples, examples, uplink
from groundplane.doctor.facts import Exposed, Facts, HostPort
from groundplane.doctor.packet import Packet
from groundplane.model.address import family_of
from groundplane.project.state import BRIDGE, NodeBase

Hook = Literal["prerouting", "input", "forward", "output"]

TRANSLATED_AT = -100  # the priority of our translation in prerouting and output


class Probe(NamedTuple):
    """A packet that has to pass *hook*, and what accepts it.

    *what* tells the traffic. *nft* is what a rule of nft says to accept it, *iptables* what one
    of iptables says. *early* is the packet in chains that come before our translation. *outside*
    marks what has an end outside of the site, which an operator may mean to keep out.
    """

    hook: Hook
    what: str
    packet: Packet
    nft: str
    iptables: str
    early: Packet | None = None
    outside: bool = False

    def at(self, priority: int) -> Packet:
        """Return the packet as a chain of *priority* at the hook sees it."""
        return self.early if self.early and priority < TRANSLATED_AT else self.packet


def probes(base: NodeBase, facts: Facts, exposed: Exposed) -> list[Probe]:
    """Return everything that has to pass the node, in the order in which it is told."""
    from_outside = bool(exposed.node_ports or exposed.addresses)
    found: list[Probe] = []
    for each in examples(base, facts):
        found += _of_this_node(each)
        found += _between_nodes(each) if each.peer else ()
        found += _outside(each, clients=from_outside)
        found += _to_the_node(each, exposed)
        for to in exposed.host_ports:
            if family_of(to.address) == each.family:
                found += _to_endpoints_of_the_node(each, to, uplink([to.address], facts))
    return [*found, *_tunnels(base, facts)]


# What a rule says of traffic whose destination a service has translated, first in the words of
# nft, then in those of iptables, and of traffic that comes from or goes to the bridge.
_TRANSLATED = ("ct status dnat", "-m conntrack --ctstate DNAT")
_FROM_BRIDGE, _TO_BRIDGE = f"iifname {BRIDGE}", f"oifname {BRIDGE}"


def _request(of: Examples) -> Packet:
    return Packet(
        family=of.ip,
        protocol="tcp",
        source=of.own,
        destination=of.neighbour,
        port=8080,
        local=False,
    )


def _sending(of: Examples) -> str:
    return f"-s {of.workloads}"


def _receiving(of: Examples) -> str:
    return f"-d {of.workloads}"


def _of_this_node(of: Examples) -> Iterator[Probe]:
    """Yield what workloads and the node itself send to services."""
    what, request = "workloads to services", _request(of)
    entering = replace(request, incoming=BRIDGE, translated=True)
    early = replace(request, incoming=BRIDGE, destination=of.service, port=80)
    yield Probe("prerouting", what, entering, _FROM_BRIDGE, _sending(of), early)
    forwarded = replace(entering, outgoing=BRIDGE)
    yield Probe("forward", what, forwarded, *_TRANSLATED)
    leaving = replace(request, source=of.node, outgoing=BRIDGE, translated=True)
    before = replace(leaving, destination=of.service, port=80, translated=False)
    what = "the node itself to services"
    yield Probe("output", what, leaving, *_TRANSLATED, early=before)
    probing = replace(leaving, translated=False)
    what = "the node itself to its workloads, as by readiness probes"
    yield Probe("output", what, probing, _TO_BRIDGE, _receiving(of))


def _between_nodes(of: Examples) -> Iterator[Probe]:
    request = _request(of)
    leaving = replace(request, destination=of.peer_workload, incoming=BRIDGE, outgoing=of.between)
    yield Probe("forward", "workloads to those of other nodes", leaving, _FROM_BRIDGE, _sending(of))
    arriving = replace(
        request, source=of.peer_workload, destination=of.own, incoming=of.between, outgoing=BRIDGE
    )
    what = "workloads of other nodes to those of this one"
    yield Probe("forward", what, arriving, _TO_BRIDGE, _receiving(of))
    # A service's translation is made, and its source masqueraded, where the client enters.
    masqueraded = replace(arriving, source=of.masquerader)
    what = "what other nodes masquerade to workloads of this one"
    yield Probe("forward", what, masqueraded, _TO_BRIDGE, _receiving(of))


def _outside(of: Examples, *, clients: bool) -> Iterator[Probe]:
    request = _request(of)
    leaving = replace(request, destination=None, incoming=BRIDGE, outgoing=of.uplink)
    what = "workloads to addresses outside"
    yield Probe("forward", what, leaving, _FROM_BRIDGE, _sending(of), outside=True)
    arriving = replace(
        request, source=None, destination=of.own, incoming=of.uplink, outgoing=BRIDGE
    )
    answer = replace(arriving, state="established", port=None)
    what = "answers from outside to workloads"
    yield Probe("forward", what, answer, _TO_BRIDGE, _receiving(of), outside=True)
    if clients:
        translated = replace(arriving, translated=True)
        what = "clients outside to services"
        yield Probe("forward", what, translated, *_TRANSLATED, outside=True)


def _to_the_node(of: Examples, exposed: Exposed) -> Iterator[Probe]:
    asking = replace(_request(of), destination=of.bridge, incoming=BRIDGE, port=53, local=True)
    for protocol in ("udp", "tcp"):
        yield Probe(
            "input",
            "names asked by workloads",
            replace(asking, protocol=protocol),
            f"{_FROM_BRIDGE} {protocol} dport 53",
            f"-i {BRIDGE} -p {protocol} --dport 53",
        )
    if of.ip == "ip6":
        yield Probe(
            "input",
            "neighbour discovery of workloads",
            replace(asking, protocol="icmpv6", type="nd-neighbor-solicit", port=None),
            f"{_FROM_BRIDGE} meta l4proto ipv6-icmp",
            f"-i {BRIDGE} -p ipv6-icmp",
        )
    for port in exposed.health_check_ports:
        yield Probe(
            "input",
            f"health checks on port {port}",
            replace(asking, source=None, destination=of.node, incoming=of.uplink, port=port),
            f"tcp dport {port}",
            f"-p tcp --dport {port}",
            outside=True,
        )


def _to_endpoints_of_the_node(of: Examples, to: HostPort, link: str | None) -> Iterator[Probe]:
    """Yield what workloads of this node and other nodes send to an endpoint on its own network."""
    protocol, port = to.protocol.lower(), to.port
    what = f"services to port {port} of this node"
    accepting = f"{protocol} dport {port}", f"-p {protocol} --dport {port}"
    near = Packet(
        family=of.ip,
        protocol=protocol,
        source=of.own,
        destination=to.address,
        incoming=BRIDGE,
        port=port,
        translated=True,
        local=True,
    )
    yield Probe("input", what, near, *accepting)
    if of.peer:
        far = replace(near, source=of.peer, incoming=link, translated=False)
        yield Probe("input", what, far, *accepting)


def _tunnels(base: NodeBase, facts: Facts) -> Iterator[Probe]:
    """Yield what carries the packets between workloads of two nodes, where that is an overlay."""
    peer = next((each.tunnel for each in base.peers if each.tunnel), "")
    if base.overlay is None or not peer:
        return
    own = next(each for each in base.addresses if family_of(each) == family_of(peer))
    link, port = uplink([own], facts), base.overlay.port
    accepting = f"udp dport {port}", f"-p udp --dport {port}"
    arriving = Packet(
        family="ip" if family_of(peer) == "IPv4" else "ip6",
        protocol="udp",
        source=peer,
        destination=own,
        incoming=link,
        port=port,
        local=True,
    )
    yield Probe("input", "tunnels from other nodes", arriving, *accepting)
    leaving = replace(
        arriving, source=own, destination=peer, incoming="", outgoing=link, local=False
    )
    yield Probe("output", "tunnels to other nodes", leaving, *accepting)
