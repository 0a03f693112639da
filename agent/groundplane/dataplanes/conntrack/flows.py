"""Detection of conntrack entries that lead to a removed endpoint. Pure.

An entry outlives the rules that made it for as long as its client keeps sending, so a client
with an open socket, or one that connects again and again from one port, stays with a removed endpoint
(kubernetes#139628). Every entry of UDP and SCTP counts. Of TCP only unanswered entries
count: established connections end by themselves, and those of a draining endpoint continue.

Addresses are packed: 4 or 16 bytes in network order.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from groundplane.net.protocols import NUMBERS, Family

UDP: Final = NUMBERS["UDP"]

Frontend = tuple[bytes, int, int]  # an address of a service, a port, and the protocol's number
# The targets of flows: address, port in network order and two zero bytes each, as in `project`.
FlowTargets = Collection[bytes]


class Flow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A conntrack entry: where its client sends, and who answers.

    *source* to *port* describe the client's packets before any translation; *reply_source* and
    *reply_port* are where the answers come from, hence where the client's packets really go.
    *id* distinguishes the entry from a later one with the same addresses and ports, unless the
    kernel reused the same memory (CTA_ID, nf_ct_get_id); *zone* is its conntrack zone.
    """

    source: bytes
    source_port: int
    destination: bytes
    port: int
    reply_source: bytes
    reply_port: int
    id: int
    zone: int = 0
    protocol: int = UDP

    @property
    def family(self) -> Family:
        return "IPv4" if len(self.destination) == 4 else "IPv6"

    @property
    def frontend(self) -> Frontend:
        return self.destination, self.port, self.protocol

    @property
    def target(self) -> bytes:
        return packed(self.reply_source, self.reply_port)

    @property
    def is_translated(self) -> bool:
        return (self.reply_source, self.reply_port) != (self.destination, self.port)


def packed(address: bytes, port: int) -> bytes:
    """Return a target of an address and a port."""
    return address + port.to_bytes(2, "big")


class Range(NamedTuple):
    """The addresses from *first* to *last*, both included, of one family."""

    first: bytes
    last: bytes


class Scope(msgspec.Struct, frozen=True):
    """The destinations where every translated flow is ours: an unexpected flow there is stale.

    *services* has the service ranges. *node_ports* (first, last) of *here*, this node's addresses,
    are ours only if the flow leads to a workload or a node: other programs publish their ports in
    the same range. External addresses are ours while a service has them: other programs may
    translate the rest of their ranges.
    """

    services: tuple[Range, ...]
    workloads: tuple[Range, ...]
    here: frozenset[bytes]
    nodes: frozenset[bytes]  # the addresses of all nodes, this one included
    node_ports: tuple[int, int]

    def covers(self, flow: Flow) -> bool:
        """Whether only a service can have translated *flow*, if it is translated."""
        if flow.destination not in self.here:
            return within(flow.destination, self.services)
        first, last = self.node_ports
        if not first <= flow.port <= last:
            return False
        return flow.reply_source in self.nodes or within(flow.reply_source, self.workloads)


def within(address: bytes, ranges: tuple[Range, ...]) -> bool:
    """Return whether *address* lies in one of *ranges*."""
    return any(
        first <= address <= last and len(first) == len(address)  # the order is that of one family
        for first, last in ranges
    )


def stale(
    flows: Iterable[Flow],
    expected: Mapping[Frontend, FlowTargets],
    scope: Scope,
    removed: Collection[Frontend] = (),
) -> list[Flow]:
    """Return the stale ones of *flows*, in their order.

    - To an *expected* frontend, but answered by none of its targets; one that is not translated is
      answered by its destination itself, as one that is older than the service.
    - Translated, to a *removed* frontend, or to an unexpected destination in *scope*.

    All other flows stay. *flows* contain only unanswered flows of TCP.
    """
    found = []
    known: dict[Frontend, frozenset[bytes]] = {}  # many flows lead to one frontend
    for flow in flows:
        frontend = flow.frontend
        targets = expected.get(frontend)
        if targets is not None:
            if frontend not in known:
                known[frontend] = frozenset(targets)
            # An entry that others track in their own zone is translated by an entry in our zone.
            elsewhere = flow.zone and not flow.is_translated
            if not elsewhere and flow.target not in known[frontend]:
                found.append(flow)
        elif flow.is_translated and (frontend in removed or scope.covers(flow)):
            found.append(flow)
    return found
