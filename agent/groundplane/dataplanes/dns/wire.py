"""DNS messages about zones: updates (RFC 2136) encoded, transfers (RFC 5936) decoded. Pure.

A library would make hundreds of thousands of objects per zone:
`docs/decisions/0019-zones-on-the-wire.md`.
Names are absolute, in lower case, and escaped as in a zone file (RFC 1035, 5.1).
"""

import re
import socket
import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from groundplane.errors import StateError

_HEADER: Final = struct.Struct("!HHHHHH")  # id, flags, and how many of each of the four sections
_FIXED: Final = struct.Struct("!HHIH")  # type, class, TTL, length of the data
_SRV: Final = struct.Struct("!HHH")
_SERIALS: Final = struct.Struct("!IIIII")
_IN, _ANY, _NONE = 1, 255, 254
_UPDATE: Final = 5 << 11
_POINTER: Final = 0xC0  # RFC 1035, 4.1.4
SOA, TSIG, AXFR = 6, 250, 252
SERVFAIL: Final = 2
_TYPES: Final = {
    "A": 1,
    "NS": 2,
    "CNAME": 5,
    "SOA": SOA,
    "PTR": 12,
    "TXT": 16,
    "AAAA": 28,
    "SRV": 33,
}
RCODES: Final = {
    1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN",
    7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE",
}  # fmt: skip
_NAMES: Final = {number: name for name, number in _TYPES.items()}
_PLAIN: Final = re.compile(rb"[-_0-9A-Za-z*/]+")
_ESCAPE: Final = re.compile(rb"\\([0-9]{3})|\\(.)|([^\\])", re.DOTALL)
_BYTES_PER_MESSAGE: Final = 60_000  # of changes: a message has at most 64 KiB
_SERIAL_HALF: Final = 1 << 31


class Soa(NamedTuple):
    """The record that a zone begins with."""

    primary: str
    mailbox: str
    serial: int
    refresh: int
    retry: int
    expire: int
    minimum: int

    def following(self, last: int | None = None) -> "Soa":
        """Return the SOA with the serial after its own or *last*; never 0, which BIND skips."""
        serial = self.serial if last is None else last
        return self._replace(serial=(serial + 1) % (1 << 32) or 1)


class Rr(NamedTuple):
    """One record as read; *data* is in presentation format, "" for a type we do not use."""

    owner: str
    type: str
    ttl: int
    data: str


class DnsMessage(NamedTuple):
    """A decoded message: ID and response code of its header, its records, the last of its SOAs.

    *tsig* has the offsets of its TSIG record and of that record's data.
    """

    number: int
    rcode: int
    records: list[Rr]
    soa: Soa | None
    tsig: tuple[int, int] | None


def later(one: int, other: int) -> bool:
    """Return whether the serial *one* comes after *other* (RFC 1982)."""
    return one != other and (one - other) % (1 << 32) < _SERIAL_HALF


@lru_cache(maxsize=4096)
def name(text: str) -> bytes:
    """Return the absolute name *text* uncompressed; ValueError if it is invalid."""
    stripped = text.removesuffix(".")
    labels = map(_unescaped, _LABELS.findall(stripped)) if "\\" in text else (
        each.encode() for each in stripped.split(".")
    )  # fmt: skip
    encoded = bytearray()
    for label in labels if stripped else ():
        if not 0 < len(label) < 64:
            raise ValueError(f'"{text}" is not a DNS name: a label has 1 to 63 characters')
        encoded.append(len(label))
        encoded += label
    if len(encoded) > 254:
        raise ValueError(f'"{text}" is not a DNS name: it is longer than 255 characters')
    return bytes(encoded + b"\0")


_LABELS: Final = re.compile(r"(?:\\.|[^.\\])+", re.DOTALL)


def _unescaped(text: str) -> bytes:
    return _ESCAPE.sub(
        lambda m: bytes([int(m[1])]) if m[1] else m[2] or m[3], text.encode("latin-1")
    )


def data(type_: str, text: str) -> bytes:
    """Return the data of a record from its presentation format; ValueError if it is invalid."""
    match type_:
        case "A":
            return socket.inet_aton(text)
        case "AAAA":
            return socket.inet_pton(socket.AF_INET6, text)
        case "CNAME" | "PTR" | "NS":
            return name(text)
        case "SRV":
            priority, weight, port, target = text.split(" ")
            return _SRV.pack(int(priority), int(weight), int(port)) + name(target)
        case "TXT":
            strings = (_unescaped(each) for each in _STRINGS.findall(text))
            return b"".join(bytes([len(each)]) + each for each in strings)
    raise ValueError(f"records of type {type_} are not written")


_STRINGS: Final = re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)


def soa_data(soa: Soa) -> bytes:
    return name(soa.primary) + name(soa.mailbox) + _SERIALS.pack(*soa[2:])


# ------------------------------------------------------------------------------------------------


class ZoneChange(NamedTuple):
    """One record to add or to delete; its TTL is None for a deletion."""

    owner: str
    type: str
    data: str
    ttl: int | None


def updates(
    zone: str, soa: Soa, changes: Iterable[bytes], last: int | None = None
) -> Iterator[tuple[bytes, Soa]]:
    """Yield the messages that make *changes* in *zone*, whose SOA is *soa*, each with the next SOA.

    The changes are as `encoded` returns them.

    Each message takes effect only on the zone as the previous message left it (RFC 2136, 2.4.2: its
    SOA is the prerequisite), and sets the serial itself, to the one after its own or after *last*.
    There is one message, which only changes the serial if there are no *changes*; there are more
    if the changes do not fit into one.
    """
    changing = iter(changes)
    first = next(changing, b"")
    while True:
        chunk, size = [first] if first else [], len(first)
        first = b""
        for each in changing:
            if size + len(each) > _BYTES_PER_MESSAGE:
                first = each
                break
            chunk.append(each)
            size += len(each)
        following = soa.following(last)
        last = None
        yield _update(zone, soa, following, chunk), following
        if not first:
            return
        soa = following


def encoded(change: ZoneChange) -> bytes:
    """Return *change* encoded for a message; ValueError if that is impossible."""
    number = _TYPES.get(change.type) or int(change.type.removeprefix("TYPE"))
    if change.ttl is None and not change.data:
        return name(change.owner) + _FIXED.pack(number, _ANY, 0, 0)  # the whole set (2.5.2)
    written = data(change.type, change.data)
    if change.ttl is None:
        fixed = _FIXED.pack(number, _NONE, 0, len(written))
    else:
        fixed = _FIXED.pack(number, _IN, change.ttl, len(written))
    return name(change.owner) + fixed + written


def _update(zone: str, there: Soa, following: Soa, chunk: list[bytes]) -> bytes:
    apex = name(zone)
    before, after = soa_data(there), soa_data(following)
    return b"".join(
        [
            _HEADER.pack(0, _UPDATE, 1, 1, len(chunk) + 1, 0),
            apex, struct.pack("!HH", SOA, _IN),
            apex, _FIXED.pack(SOA, _IN, 0, len(before)), before,
            *chunk,
            apex, _FIXED.pack(SOA, _IN, following.minimum, len(after)), after,
        ]
    )  # fmt: skip


def query(zone: str, type_: int, number: int = 0) -> bytes:
    """Return a query to an authoritative server, with the ID *number*."""
    return _HEADER.pack(number, 0, 1, 0, 0, 0) + name(zone) + struct.pack("!HH", type_, _IN)


# ------------------------------------------------------------------------------------------------


def decode(wire: bytes) -> DnsMessage:
    """Return the message in *wire*; StateError if it is not a message."""
    try:
        return _decode(wire)
    except (IndexError, struct.error):
        raise StateError("the DNS server sent a message that is cut off") from None
    except (OSError, ValueError):  # of the socket module: an address of another length
        raise StateError("the DNS server sent an address that is none") from None


def _decode(wire: bytes) -> DnsMessage:
    number, flags, questions, *counts = _HEADER.unpack_from(wire)
    known: dict[int, str] = {}
    at = _HEADER.size
    for _ in range(questions):
        at = _name(wire, at, known)[1] + 4
    records: list[Rr] = []
    soa: Soa | None = None
    tsig: tuple[int, int] | None = None
    for _ in range(sum(counts)):
        begin = at
        owner, at = _name(wire, at, known)
        type_, _class, ttl, length = _FIXED.unpack_from(wire, at)
        at += _FIXED.size
        if type_ == TSIG:
            tsig = begin, at
        elif type_ == SOA:
            primary, following = _name(wire, at, known)
            mailbox, following = _name(wire, following, known)
            soa = Soa(primary, mailbox, *_SERIALS.unpack_from(wire, following))
            records.append(Rr(owner, "SOA", ttl, str(soa.serial)))
        else:
            records.append(Rr(owner, *_read(wire, type_, ttl, at, length, known)))
        at += length
    if at > len(wire):
        raise IndexError
    return DnsMessage(number, flags & 15, records, soa, tsig)


def _read(
    wire: bytes, type_: int, ttl: int, at: int, length: int, known: dict[int, str]
) -> tuple[str, int, str]:
    """Return type, TTL and data of a record whose data begin at *at*."""
    match type_:
        case 1:
            return "A", ttl, socket.inet_ntoa(wire[at : at + length])
        case 28:
            return "AAAA", ttl, socket.inet_ntop(socket.AF_INET6, wire[at : at + length])
        case 5 | 12 | 2:
            return _NAMES[type_], ttl, _name(wire, at, known)[0]
        case 33:
            priority, weight, port = _SRV.unpack_from(wire, at)
            return "SRV", ttl, f"{priority} {weight} {port} {_name(wire, at + 6, known)[0]}"
        case 16:
            return "TXT", ttl, _strings(wire[at : at + length])
    return f"TYPE{type_}", ttl, ""


def _strings(packed: bytes) -> str:
    found = []
    while packed:
        found.append(f'"{_escaped(packed[1 : 1 + packed[0]], _QUOTED)}"')
        packed = packed[1 + packed[0] :]
    return " ".join(found)


def _name(wire: bytes, at: int, known: dict[int, str]) -> tuple[str, int]:
    """Return the name at *at*, and the offset after it.

    *known* are the previously read names and ends of names, by their offset. A pointer to none of
    them points into data that were not decoded, such as a name in a signature. To exclude loops,
    each such pointer must point further back than the previous ones.
    """
    starts: list[tuple[int, str]] = []
    rest, end, first = "", 0, at
    while length := wire[at]:
        if length >= _POINTER:
            target = (length & 0x3F) << 8 | wire[at + 1]
            end = end or at + 2
            if target in known:
                rest = known[target]
                break
            if not _HEADER.size <= target < first:
                raise StateError("the DNS server sent a name that leads nowhere")
            at = first = target
            continue
        label = wire[at + 1 : at + 1 + length]
        text = label.decode() if _PLAIN.fullmatch(label) else _escaped(label, _SPECIAL)
        starts.append((at, text.lower()))
        at += 1 + length
    for start, label_text in reversed(starts):
        rest = f"{label_text}.{rest}"
        known[start] = rest
    return rest or ".", end or at + 1


_SPECIAL: Final = b'.\\"();@$ '
_QUOTED: Final = b'\\"'


def _escaped(raw: bytes, special: bytes) -> str:
    """Return *raw* in presentation format (RFC 1035, 5.1)."""
    return "".join(
        f"\\{chr(byte)}" if byte in special and byte != 32
        else chr(byte) if 32 < byte < 127 or (byte == 32 and special is _QUOTED)
        else f"\\{byte:03d}"
        for byte in raw
    )  # fmt: skip
