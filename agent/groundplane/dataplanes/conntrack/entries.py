"""A UDP entry of the conntrack table as ctnetlink writes it. Pure.

Formats: include/uapi/linux/netfilter/nfnetlink_conntrack.h, and for the flags of CTA_FILTER the
kernel's net/netfilter/nf_internals.h.
"""

import struct
from typing import Final

from groundplane.dataplanes.conntrack.flows import Flow
from groundplane.model.service import Family
from groundplane.netlink import NESTED, attribute, attributes, nest

_ORIG, _REPLY, _ID, _ZONE, _FILTER = 1, 2, 12, 18, 25  # of an entry
_IP, _PROTO, _TUPLE_ZONE = 1, 2, 3  # of one of its two tuples
_NUMBER, _SOURCE_PORT, _PORT = 1, 2, 3  # of the tuple's protocol
_ORIG_FLAGS, _REPLY_FLAGS = 1, 2  # of a filter
_ON_NUMBER: Final = 1 << 3
_UDP: Final = 17

_header = struct.Struct("=HH")
_number = struct.Struct(">I")
_zone = struct.Struct(">H")

# What makes the kernel list entries of UDP alone; one before 5.9 knows no filter and lists all.
ONLY_UDP: Final = nest(_ORIG, nest(_PROTO, attribute(_NUMBER, bytes([_UDP])))) + nest(
    _FILTER,
    attribute(_ORIG_FLAGS, struct.pack("=I", _ON_NUMBER)),
    attribute(_REPLY_FLAGS, bytes(4)),
)


class Layout:
    """How the kernel writes the tuples of a UDP entry of one family.

    The two tuples always come first and their attributes have fixed widths, so that a large table
    is read by one unpacking an entry; what is written otherwise is read attribute by attribute.
    """

    def __init__(self, source: int, destination: int, width: int) -> None:
        self._source, self._destination = source, destination
        self._tuples = struct.Struct(">" + f"12s{width}s4s{width}s16sH2x4sH2x" * 2)
        self._end = 4 + self._tuples.size
        address = _header.pack(4 + width, destination)
        port = _header.pack(6, _PORT)
        between = (
            _header.pack(28, NESTED | _PROTO)
            + attribute(_NUMBER, bytes([_UDP]))
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
        """Return the entry that the body *answer* is, None when it is not of UDP."""
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
        while start + 8 <= end:  # `attributes` does the same, and takes twice as long
            length, kind = _header.unpack_from(answer, start)
            if kind == _ID:
                (number,) = _number.unpack_from(answer, start + 4)
                return Flow(
                    source, source_port, destination, port, reply_source, reply_port, number, zone
                )
            if kind == _ZONE:
                (zone,) = _zone.unpack_from(answer, start + 4)
            start += (length + 3) & ~3 or end
        return None

    def _plainly(self, answer: bytes) -> Flow | None:
        entry = dict(attributes(answer, 4))
        original = dict(attributes(entry.get(_ORIG, b"")))
        reply = dict(attributes(entry.get(_REPLY, b"")))
        sent, answered = self._ends(original), self._ends(reply)
        if sent is None or answered is None:
            return None
        zone = entry.get(_ZONE) or original.get(_TUPLE_ZONE, b"")
        number = int.from_bytes(entry.get(_ID, b""), "big")
        return Flow(*sent, *answered[:2], number, int.from_bytes(zone, "big"))

    def _ends(self, of: dict[int, bytes]) -> tuple[bytes, int, bytes, int] | None:
        """Return source and destination, addresses and ports, of a tuple; None if not of UDP."""
        addresses = dict(attributes(of.get(_IP, b"")))
        protocol = dict(attributes(of.get(_PROTO, b"")))
        if protocol.get(_NUMBER) != bytes([_UDP]):
            return None
        return (
            addresses[self._source],
            int.from_bytes(protocol[_SOURCE_PORT], "big"),
            addresses[self._destination],
            int.from_bytes(protocol[_PORT], "big"),
        )

    def named(self, flow: Flow) -> bytes:
        """Return the attributes that name the entry of *flow*."""
        addresses = nest(
            _IP,
            attribute(self._source, flow.source),
            attribute(self._destination, flow.destination),
        )
        protocol = nest(
            _PROTO,
            attribute(_NUMBER, bytes([_UDP])),
            attribute(_SOURCE_PORT, flow.source_port.to_bytes(2, "big")),
            attribute(_PORT, flow.port.to_bytes(2, "big")),
        )
        parts = [nest(_ORIG, addresses, protocol), attribute(_ID, flow.id.to_bytes(4, "big"))]
        if flow.zone:
            parts.append(attribute(_ZONE, flow.zone.to_bytes(2, "big")))
        return b"".join(parts)


LAYOUTS: Final[dict[Family, Layout]] = {"IPv4": Layout(1, 2, 4), "IPv6": Layout(3, 4, 16)}
