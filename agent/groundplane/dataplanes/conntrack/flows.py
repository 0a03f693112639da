"""Which conntrack entries of UDP lead to an endpoint that is gone. Pure.

An entry outlives the rules that made it for as long as its client keeps sending, so a client
with an open socket stays with a removed endpoint (kubernetes#139628). TCP is left alone: its
connections end by themselves, and the established ones of a draining endpoint have to live on.

Addresses are packed: 4 or 16 bytes in network order.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from groundplane.model.service import Family

Place = tuple[bytes, int]  # an address and a port


class Flow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A conntrack entry of UDP: where its client sends, and who answers.

    *source* to *port* are what the client sends, before any translation; *reply_source* and
    *reply_port* are where the answers come from, hence where the client's datagrams really go.
    *id* tells the entry from a later one between the same places, unless the kernel gave that the
    same memory (CTA_ID, nf_ct_get_id); *zone* is its conntrack zone.
    """

    source: bytes
    source_port: int
    destination: bytes
    port: int
    reply_source: bytes
    reply_port: int
    id: int
    zone: int = 0

    @property
    def family(self) -> Family:
        return "IPv4" if len(self.destination) == 4 else "IPv6"


class Expectation(msgspec.Struct, frozen=True, gc=False):
    """Who may answer what is sent to one place.

    *address* and *port* are a cluster, external or load-balancer address with a UDP service port,
    or an address of this node with a node port. *endpoints* are those that serve, on any node:
    the traffic policy chooses for new flows, and those that are there live on.
    """

    address: bytes
    port: int
    endpoints: frozenset[Place]


class Range(NamedTuple):
    """The addresses from *first* to *last*, both included, of one family."""

    first: bytes
    last: bytes


class Scope(msgspec.Struct, frozen=True):
    """Where every translated flow is ours, so that one that nobody expects is a leftover.

    *services* has the service ranges and those of external and load-balancer addresses.
    *node_ports* (first, last) of *here*, this node's addresses, are ours only where the flow leads
    to a workload or a node: other programs publish ports of theirs in the same range.
    """

    services: tuple[Range, ...]
    workloads: tuple[Range, ...]
    here: frozenset[bytes]
    nodes: frozenset[bytes]  # the addresses of all nodes, this one included
    node_ports: tuple[int, int]

    def covers(self, flow: Flow) -> bool:
        """Whether *flow*, if it is translated, can only be by a service."""
        if flow.destination not in self.here:  # which may lie in a range of external addresses
            return _within(flow.destination, self.services)
        first, last = self.node_ports
        if not first <= flow.port <= last:
            return False
        return flow.reply_source in self.nodes or _within(flow.reply_source, self.workloads)


def _within(address: bytes, ranges: tuple[Range, ...]) -> bool:
    return any(
        first <= address <= last and len(first) == len(address)  # the order is that of one family
        for first, last in ranges
    )


def stale(flows: Iterable[Flow], expectations: Iterable[Expectation], scope: Scope) -> list[Flow]:
    """Return those of *flows*, which are of UDP, that have to go, in their order.

    - To an expected place, but answered by none of its endpoints; one that is not translated is
      answered by its destination itself, as one that is older than the service.
    - Translated, to a place of *scope* that nobody expects: the service was deleted.

    Everything else is left alone.
    """
    endpoints: dict[Place, frozenset[Place]] = {}
    for each in expectations:
        place = (each.address, each.port)
        known = endpoints.get(place)
        endpoints[place] = each.endpoints if known is None else known | each.endpoints
    found = []
    for flow in flows:
        destination = (flow.destination, flow.port)
        answering = (flow.reply_source, flow.reply_port)
        serving = endpoints.get(destination)
        if serving is not None:
            # What others track in a zone of their own is translated in ours.
            elsewhere = answering == destination and flow.zone
            if answering not in serving and not elsewhere:
                found.append(flow)
        elif answering != destination and scope.covers(flow):
            found.append(flow)
    return found
