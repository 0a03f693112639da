"""The packets that have to pass a node: what its filters are tried with. Pure."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from groundplane.doctor.balanced import to_ipvs
from groundplane.doctor.examples import Examples, examples, receiving, sending, uplink
from groundplane.doctor.facts import Exposed, Facts, HostPort
from groundplane.doctor.packet import Packet
from groundplane.doctor.sample_packet import FROM_BRIDGE, TO_BRIDGE, SamplePacket
from groundplane.kernel.owned import BRIDGE
from groundplane.net.address import family_of
from groundplane.project.state import NodeBase


def probes(base: NodeBase, facts: Facts, exposed: Exposed) -> list[SamplePacket]:
    """Return everything that has to pass the node, in the order in which it is told."""
    from_outside = bool(exposed.node_ports or exposed.addresses)
    found: list[SamplePacket] = []
    for each in examples(base, facts):
        if base.proxy_mode == "ipvs":
            found += to_ipvs(each, clients=from_outside)
        else:
            found += _translated(each)
        found += _of_the_node(each)
        found += _between_nodes(each) if each.peer else ()
        found += _outside(each, clients=from_outside and base.proxy_mode != "ipvs")
        found += _to_the_node(each, exposed)
        for to in exposed.host_ports:
            if family_of(to.address) == each.family:
                found += _to_endpoints_of_the_node(base, each, to, uplink([to.address], facts))
    return [*found, *_tunnels(base, facts)]


# What a rule says of traffic whose destination a service has translated, first in the words of
# nft, then in those of iptables.
_TRANSLATED: Final = ("ct status dnat", "-m conntrack --ctstate DNAT")


def _request(of: Examples) -> Packet:
    return Packet(
        family=of.ip,
        protocol="tcp",
        source=of.own,
        destination=of.neighbour,
        port=8080,
        local=False,
    )


def _translated(of: Examples) -> Iterator[SamplePacket]:
    """Yield what workloads and the node itself send to services."""
    what, request = "workloads to services", _request(of)
    entering = replace(request, incoming=BRIDGE, translated=True)
    early = replace(request, incoming=BRIDGE, destination=of.service, port=80)
    yield SamplePacket("prerouting", what, entering, FROM_BRIDGE, sending(of), early)
    forwarded = replace(entering, outgoing=BRIDGE)
    yield SamplePacket("forward", what, forwarded, *_TRANSLATED)
    leaving = replace(request, source=of.node, outgoing=BRIDGE, translated=True)
    before = replace(leaving, destination=of.service, port=80, translated=False)
    what = "the node itself to services"
    yield SamplePacket("output", what, leaving, *_TRANSLATED, early=before)


def _of_the_node(of: Examples) -> Iterator[SamplePacket]:
    probing = replace(_request(of), source=of.node, outgoing=BRIDGE)
    what = "the node itself to its workloads, as by readiness probes"
    yield SamplePacket("output", what, probing, TO_BRIDGE, receiving(of))


def _between_nodes(of: Examples) -> Iterator[SamplePacket]:
    request = _request(of)
    leaving = replace(request, destination=of.peer_workload, incoming=BRIDGE, outgoing=of.between)
    yield SamplePacket(
        "forward", "workloads to those of other nodes", leaving, FROM_BRIDGE, sending(of)
    )
    arriving = replace(
        request, source=of.peer_workload, destination=of.own, incoming=of.between, outgoing=BRIDGE
    )
    what = "workloads of other nodes to those of this one"
    yield SamplePacket("forward", what, arriving, TO_BRIDGE, receiving(of))
    # A service's translation is made, and its source masqueraded, where the client enters.
    masqueraded = replace(arriving, source=of.masquerader)
    what = "what other nodes masquerade to workloads of this one"
    yield SamplePacket("forward", what, masqueraded, TO_BRIDGE, receiving(of))


def _outside(of: Examples, *, clients: bool) -> Iterator[SamplePacket]:
    request = _request(of)
    leaving = replace(request, destination=None, incoming=BRIDGE, outgoing=of.uplink)
    what = "workloads to addresses outside"
    yield SamplePacket("forward", what, leaving, FROM_BRIDGE, sending(of), outside=True)
    arriving = replace(
        request, source=None, destination=of.own, incoming=of.uplink, outgoing=BRIDGE
    )
    answer = replace(arriving, state="established", port=None)
    what = "answers from outside to workloads"
    yield SamplePacket("forward", what, answer, TO_BRIDGE, receiving(of), outside=True)
    if clients:
        translated = replace(arriving, translated=True)
        what = "clients outside to services"
        yield SamplePacket("forward", what, translated, *_TRANSLATED, outside=True)
        if of.peer:
            elsewhere = replace(translated, destination=of.peer_workload, outgoing=of.between)
            what = "clients outside to services whose endpoints are on other nodes"
            yield SamplePacket("forward", what, elsewhere, *_TRANSLATED, outside=True)


def _to_the_node(of: Examples, exposed: Exposed) -> Iterator[SamplePacket]:
    asking = replace(_request(of), destination=of.bridge, incoming=BRIDGE, port=53, local=True)
    for protocol in ("udp", "tcp"):
        yield SamplePacket(
            "input",
            "names asked by workloads",
            replace(asking, protocol=protocol),
            f"{FROM_BRIDGE} {protocol} dport 53",
            f"-i {BRIDGE} -p {protocol} --dport 53",
        )
    if of.ip == "ip6":
        yield SamplePacket(
            "input",
            "neighbour discovery of workloads",
            replace(asking, protocol="icmpv6", type="nd-neighbor-solicit", port=None),
            f"{FROM_BRIDGE} meta l4proto ipv6-icmp",
            f"-i {BRIDGE} -p ipv6-icmp",
        )
    for port in exposed.health_check_ports:
        yield SamplePacket(
            "input",
            f"health checks on port {port}",
            replace(asking, source=None, destination=of.node, incoming=of.uplink, port=port),
            f"tcp dport {port}",
            f"-p tcp --dport {port}",
            outside=True,
        )


def _to_endpoints_of_the_node(
    base: NodeBase, of: Examples, to: HostPort, link: str | None
) -> Iterator[SamplePacket]:
    """Yield what workloads of this node and other nodes send to an endpoint on its own network.

    To IPVS of this node the former are as to any endpoint: they pass input once, before it.
    """
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
    if base.proxy_mode != "ipvs":
        yield SamplePacket("input", what, near, *accepting)
    if of.peer:
        far = replace(near, source=of.peer, incoming=link, translated=False)
        yield SamplePacket("input", what, far, *accepting)


def _tunnels(base: NodeBase, facts: Facts) -> Iterator[SamplePacket]:
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
    yield SamplePacket("input", "tunnels from other nodes", arriving, *accepting)
    leaving = replace(
        arriving, source=own, destination=peer, incoming="", outgoing=link, local=False
    )
    yield SamplePacket("output", "tunnels to other nodes", leaving, *accepting)
