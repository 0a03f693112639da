"""Packets that must pass if conntrack translates services' addresses (dnat). Pure."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from groundplane.diagnosis.examples import Examples, request, sending
from groundplane.diagnosis.facts import Exposed, HostPort
from groundplane.diagnosis.sample_packet import FROM_BRIDGE, SamplePacket, to_host_port
from groundplane.kernel.owned import BRIDGE
from groundplane.net.address import family_of
from groundplane.project.state import NodeBase

# What a rule says of traffic whose destination a service has translated, first in the words of
# nft, then in those of iptables.
TRANSLATED: Final = ("ct status dnat", "-m conntrack --ctstate DNAT")


def translated_packets(_base: NodeBase, of: Examples, exposed: Exposed) -> Iterator[SamplePacket]:
    """Yield what workloads, the node itself and clients outside send to services."""
    what = "workloads to services"
    entering = replace(request(of), incoming=BRIDGE, translated=True)
    early = replace(request(of), incoming=BRIDGE, destination=of.service, port=80)
    yield SamplePacket("prerouting", what, entering, FROM_BRIDGE, sending(of), early)
    forwarded = replace(entering, outgoing=BRIDGE)
    yield SamplePacket("forward", what, forwarded, *TRANSLATED)
    leaving = replace(request(of), source=of.node, outgoing=BRIDGE, translated=True)
    before = replace(leaving, destination=of.service, port=80, translated=False)
    what = "the node itself to services"
    yield SamplePacket("output", what, leaving, *TRANSLATED, early=before)
    if exposed.node_ports or exposed.addresses:
        yield from _from_outside(of)
    for to in exposed.host_ports:
        if family_of(to.address) == of.family:
            yield _to_the_node_itself(of, to)


def _from_outside(of: Examples) -> Iterator[SamplePacket]:
    what = "clients outside to services"
    arriving = replace(
        request(of), source=None, incoming=of.uplink, outgoing=BRIDGE, translated=True,
        destination=of.own,
    )  # fmt: skip
    yield SamplePacket("forward", what, arriving, *TRANSLATED, outside=True)
    if of.peer:
        elsewhere = replace(arriving, destination=of.peer_workload, outgoing=of.between)
        what = "clients outside to services whose endpoints are on other nodes"
        yield SamplePacket("forward", what, elsewhere, *TRANSLATED, outside=True)


def _to_the_node_itself(of: Examples, to: HostPort) -> SamplePacket:
    """Return what a workload of this node sends to an endpoint on the node's own network."""
    near = to_host_port(of.ip, to)
    return near._replace(
        packet=replace(near.packet, source=of.own, incoming=BRIDGE, translated=True)
    )
