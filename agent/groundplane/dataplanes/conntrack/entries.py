"""Encoding of a conntrack entry in ctnetlink. Pure.

Formats: include/uapi/linux/netfilter/nfnetlink_conntrack.h, and for the flags of CTA_FILTER the
kernel's net/netfilter/nf_internals.h.
"""

import struct
from collections.abc import Callable, Collection
from itertools import product
from typing import Final

from groundplane.dataplanes.conntrack.flows import Flow
from groundplane.kernel.netlink import AF, NESTED, attribute, attributes, nest
from groundplane.net.protocols import FAMILIES, NUMBERS, Family, Protocol

_ORIG, _REPLY, _STATUS, _ID, _ZONE, _FILTER, _STATUS_MASK = 1, 2, 3, 12, 18, 25, 26  # of an entry
_IP, _PROTO, _TUPLE_ZONE = 1, 2, 3  # of one of its two tuples
_NUMBER, _SOURCE_PORT, _PORT = 1, 2, 3  # of the tuple's protocol
_ORIG_FLAGS, _REPLY_FLAGS = 1, 2  # of a filter
_ON_NUMBER: Final = 1 << 3
_SEEN_REPLY: Final = 1 << 1  # IPS_SEEN_REPLY

_header = struct.Struct("=HH")
_number = struct.Struct(">I")
_zone = struct.Struct(">H")


def listing(protocol: Protocol) -> bytes:
    """Return the filter to list only entries of *protocol*, and of TCP only unanswered ones.

    A kernel that does not know a filter lists more (by protocol: before 5.9).
    """
    number = attribute(_NUMBER, bytes([NUMBERS[protocol]]))
    asked = nest(_ORIG, nest(_PROTO, number)) + nest(
        _FILTER,
        attribute(_ORIG_FLAGS, struct.pack("=I", _ON_NUMBER)),
        attribute(_REPLY_FLAGS, bytes(4)),
    )
    if protocol == "TCP":
        asked += attribute(_STATUS, bytes(4)) + attribute(_STATUS_MASK, _number.pack(_SEEN_REPLY))
    return asked


class Layout:
    """How the kernel writes the tuples of an entry of one family and protocol.

    The two tuples always come first and their attributes have fixed widths, so that a large table
    is read with one unpack call per entry; any other layout is read attribute by attribute.
    """

    def __init__(self, family: Family, protocol: Protocol) -> None:
        width, (source, destination) = (4, (1, 2)) if family == "IPv4" else (16, (3, 4))
        self._source, self._destination = source, destination
        self._protocol = NUMBERS[protocol]
        self._unanswered = protocol == "TCP"
        self._tuples = struct.Struct(">" + f"12s{width}s4s{width}s16sH2x4sH2x" * 2)
        self._end = 4 + self._tuples.size
        address = _header.pack(4 + width, destination)
        port = _header.pack(6, _PORT)
        between = (
            _header.pack(28, NESTED | _PROTO)
            + attribute(_NUMBER, bytes([self._protocol]))
            + _header.pack(6, _SOURCE_PORT)
        )
        self._marks = tuple(
            mark
            for direction in (_ORIG, _REPLY)
            for mark in (
                _header.pack(44 + 2 * width, NESTED | direction)
                + _header.pack(12 + 2 * width, NESTED | _IP)
                + _header.pack(4 + width, source),
                address,
                between,
                port,
            )
        )

    def flow(self, answer: bytes) -> Flow | None:
        """Return the entry in the body *answer*; None for an entry that was not requested."""
        if len(answer) < self._end:
            return self._plainly(answer)
        (
            mark_0, source, mark_1, destination, mark_2, source_port, mark_3, port,
            mark_4, reply_source, mark_5, _, mark_6, reply_port, mark_7, _,
        ) = self._tuples.unpack_from(answer, 4)  # fmt: skip
        marks = (mark_0, mark_1, mark_2, mark_3, mark_4, mark_5, mark_6, mark_7)
        if marks != self._marks:
            return self._plainly(answer)
        zone, start, end = 0, self._end, len(answer)
        while start + 8 <= end:  # the same as `attributes`, in half the time
            length, kind = _header.unpack_from(answer, start)
            if kind == _ID:
                (number,) = _number.unpack_from(answer, start + 4)
                return Flow(
                    source, source_port, destination, port, reply_source, reply_port, number, zone,
                    self._protocol,
                )  # fmt: skip
            if kind == _ZONE:
                (zone,) = _zone.unpack_from(answer, start + 4)
            if kind == _STATUS and self._is_answered(answer[start + 4 : start + 8]):
                return None
            start += (length + 3) & ~3 or end
        return None

    def _is_answered(self, status: bytes) -> bool:
        """Return whether *status* is that of an answered TCP entry."""
        return self._unanswered and bool(int.from_bytes(status, "big") & _SEEN_REPLY)

    def _plainly(self, answer: bytes) -> Flow | None:
        entry = dict(attributes(answer, 4))
        original = dict(attributes(entry.get(_ORIG, b"")))
        reply = dict(attributes(entry.get(_REPLY, b"")))
        sent, answered = self._ends(original), self._ends(reply)
        if sent is None or answered is None or self._is_answered(entry.get(_STATUS, b"")):
            return None
        zone = entry.get(_ZONE) or original.get(_TUPLE_ZONE, b"")
        number = int.from_bytes(entry.get(_ID, b""), "big")
        return Flow(*sent, *answered[:2], number, int.from_bytes(zone, "big"), self._protocol)

    def _ends(self, of: dict[int, bytes]) -> tuple[bytes, int, bytes, int] | None:
        """Return a tuple's source and destination address and port; None for another protocol."""
        addresses = dict(attributes(of.get(_IP, b"")))
        protocol = dict(attributes(of.get(_PROTO, b"")))
        if protocol.get(_NUMBER) != bytes([self._protocol]):
            return None
        return (
            addresses[self._source],
            int.from_bytes(protocol[_SOURCE_PORT], "big"),
            addresses[self._destination],
            int.from_bytes(protocol[_PORT], "big"),
        )

    def named(self, flow: Flow) -> bytes:
        """Return the attributes that identify the entry of *flow*."""
        addresses = nest(
            _IP,
            attribute(self._source, flow.source),
            attribute(self._destination, flow.destination),
        )
        protocol = nest(
            _PROTO,
            attribute(_NUMBER, bytes([flow.protocol])),
            attribute(_SOURCE_PORT, flow.source_port.to_bytes(2, "big")),
            attribute(_PORT, flow.port.to_bytes(2, "big")),
        )
        parts = [nest(_ORIG, addresses, protocol), attribute(_ID, flow.id.to_bytes(4, "big"))]
        if flow.zone:
            parts.append(attribute(_ZONE, flow.zone.to_bytes(2, "big")))
        return b"".join(parts)


LAYOUTS: Final = {
    (family, protocol): Layout(family, protocol) for family in FAMILIES for protocol in NUMBERS
}

# The offset of the first tuple's protocol number, by the family's number, and the bytes before it.
_PROTOCOL_AT: Final = {AF["IPv4"]: 36, AF["IPv6"]: 60}
_BEFORE_PROTOCOL: Final = _header.pack(5, _NUMBER)


def reader(protocols: Collection[Protocol]) -> Callable[[bytes], Flow | None]:
    """Return a reader for entries of *protocols*, of either family; it returns None for others."""
    layouts = {
        (AF[family], NUMBERS[protocol]): LAYOUTS[family, protocol]
        for family, protocol in product(FAMILIES, protocols)
    }

    def read(answer: bytes) -> Flow | None:
        family = answer[0]
        start = _PROTOCOL_AT.get(family, 0)
        if answer[start - 4 : start] == _BEFORE_PROTOCOL:
            layout = layouts.get((family, answer[start]))
            return layout.flow(answer) if layout else None
        tried = (layout.flow(answer) for key, layout in layouts.items() if key[0] == family)
        return next((flow for flow in tried if flow), None)

    return read
