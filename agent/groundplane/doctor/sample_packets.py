"""The packets that must pass a node, used to test its filters. Pure."""

from collections.abc import Iterator

from msgspec.structs import replace

from groundplane.diagnosis.examples import Examples, examples, receiving, request, sending, uplink
from groundplane.diagnosis.facts import Exposed, Facts, HostPort
from groundplane.diagnosis.packet import KnownPacket
from groundplane.diagnosis.sample_packet import FROM_BRIDGE, TO_BRIDGE, SamplePacket, to_host_port
from groundplane.kernel.owned import BRIDGE
from groundplane.net.address import family_of
from groundplane.project.state import NodeBase
from groundplane.proxies import proxy_of


def probes(base: NodeBase, facts: Facts, exposed: Exposed) -> list[SamplePacket]:
    """Return all packets that must pass the node, in order of reporting."""
    found: list[SamplePacket] = []
    for each in examples(base, facts):
        found += proxy_of(base.proxy_mode).test_packets(base, each, exposed)
        found += _of_the_node(each)
        found += _between_nodes(each) if each.peer else ()
        found += _outside(each)
        found += _to_the_node(each, exposed)
        for to in exposed.host_ports:
            if each.peer and family_of(to.address) == each.family:
                found.append(_from_other_nodes(each, to, uplink([to.address], facts)))
    return [*found, *_tunnels(base, facts)]


def _of_the_node(of: Examples) -> Iterator[SamplePacket]:
    probing = replace(request(of), source=of.node, outgoing=BRIDGE)
    what = "the node itself to its workloads, as by readiness probes"
    yield SamplePacket("output", what, probing, TO_BRIDGE, receiving(of))


def _between_nodes(of: Examples) -> Iterator[SamplePacket]:
    leaving = replace(
        request(of), destination=of.peer_workload, incoming=BRIDGE, outgoing=of.between
    )
    yield SamplePacket(
        "forward", "workloads to those of other nodes", leaving, FROM_BRIDGE, sending(of)
    )
    arriving = replace(
        request(of),
        source=of.peer_workload,
        destination=of.own,
        incoming=of.between,
        outgoing=BRIDGE,
    )
    what = "workloads of other nodes to those of this one"
    yield SamplePacket("forward", what, arriving, TO_BRIDGE, receiving(of))
    # A service's translation is made, and its source masqueraded, where the client enters.
    masqueraded = replace(arriving, source=of.masquerader)
    what = "what other nodes masquerade to workloads of this one"
    yield SamplePacket("forward", what, masqueraded, TO_BRIDGE, receiving(of))


def _outside(of: Examples) -> Iterator[SamplePacket]:
    leaving = replace(request(of), destination=None, incoming=BRIDGE, outgoing=of.uplink)
    what = "workloads to addresses outside"
    yield SamplePacket("forward", what, leaving, FROM_BRIDGE, sending(of), outside=True)
    answer = replace(
        request(of), source=None, destination=of.own, incoming=of.uplink, outgoing=BRIDGE,
        state="established", port=None,
    )  # fmt: skip
    what = "answers from outside to workloads"
    yield SamplePacket("forward", what, answer, TO_BRIDGE, receiving(of), outside=True)


def _to_the_node(of: Examples, exposed: Exposed) -> Iterator[SamplePacket]:
    asking = replace(request(of), destination=of.bridge, incoming=BRIDGE, port=53, local=True)
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


def _from_other_nodes(of: Examples, to: HostPort, link: str | None) -> SamplePacket:
    """Return what other nodes send to an endpoint on this node's own network."""
    found = to_host_port(of.ip, to)
    return found._replace(packet=replace(found.packet, source=of.peer, incoming=link))


def _tunnels(base: NodeBase, facts: Facts) -> Iterator[SamplePacket]:
    """Yield the overlay's packets, if it carries traffic between workloads of two nodes."""
    peer = next((each.tunnel for each in base.peers if each.tunnel), "")
    if base.overlay is None or not peer:
        return
    own = next(each for each in base.addresses if family_of(each) == family_of(peer))
    link, port = uplink([own], facts), base.overlay.port
    accepting = f"udp dport {port}", f"-p udp --dport {port}"
    arriving = KnownPacket(
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
