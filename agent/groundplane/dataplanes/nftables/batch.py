"""Messages to nf_tables that change elements, and the readable names for its errors. Pure.

At 100,000 elements this is six times faster than `nft -f` and needs a fifth of its memory, and one
changed endpoint costs microseconds. Formats: include/uapi/linux/netfilter/nf_tables.h.
"""

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.nftables.maps import BY_CODE, Element, Map
from groundplane.kernel.netlink import CREATE, NESTED, attribute, attributes, nest, netfilter
from groundplane.kernel.tables import FAMILIES, SUBSYSTEM, BatchMessage, Table

_NEW_ELEMENTS, _DELETE_ELEMENTS = SUBSYSTEM << 8 | 12, SUBSYSTEM << 8 | 14
_ELEMENT, _KEY, _DATA, _VALUE, _LIST = 1, 1, 2, 1, 3
_TIMEOUT, _EXPIRATION = 4, 5
_TABLE, _SET = 1, 2
_NETLINK_HEADER, _HEADER = 16, 4  # bytes before a body, and of netfilter's header at its begin
# An attribute's length has 16 bits, and the list of a message's elements is one attribute.
_LIST_BYTES: Final = 60_000

_header = struct.Struct("=HH")


class _Frame(NamedTuple):
    """The constant bytes of all messages about a map: its elements have fixed widths."""

    key_head: bytes  # before the key of an element without data
    head: bytes  # before the key of an element with data
    data_head: bytes  # before its data
    opening: bytes  # the start of every message
    name: str  # for people


def _frame(map_: Map) -> _Frame:
    head, data_head = _heads(map_, with_data=True)
    opening = netfilter(FAMILIES[map_.table.family]) + target(map_)
    name = f"elements of {map_.table} {map_.name}"
    return _Frame(_heads(map_, with_data=False)[0], head, data_head, opening, name)


class _Frames(dict[int, _Frame]):
    """Frames by the codes of their maps, created on first use."""

    def __missing__(self, code: int) -> _Frame:
        self[code] = found = _frame(BY_CODE[code])
        return found


_FRAMES: Final = _Frames()


def _heads(map_: Map, *, with_data: bool) -> tuple[bytes, bytes]:
    """Return the bytes before the key and before the data in a list entry."""
    key_width, data_width = map_.key_width, map_.data_width if with_data else 0
    key_head = _header.pack(8 + key_width, NESTED | _KEY) + _header.pack(4 + key_width, _VALUE)
    data_head = b""
    if data_width:
        data_head = _header.pack(8 + data_width, NESTED | _DATA)
        data_head += _header.pack(4 + data_width, _VALUE)
    body = len(key_head) + key_width + len(data_head) + data_width
    return _header.pack(4 + body, NESTED | _ELEMENT) + key_head, data_head


class ExpiringElement(NamedTuple):
    """An element that expires: its timeout and its remaining time, in ms."""

    element: Element
    data: bytes
    timeout: int
    expires: int


def target(map_: Map, table: Table | None = None) -> bytes:
    """Return the attributes that name *map_*, or its counterpart in *table*, in every message."""
    names = (_TABLE, (table or map_.table).name), (_SET, map_.name)
    return b"".join(attribute(kind, name.encode() + b"\0") for kind, name in names)


def encode(delta: Delta[Element, bytes]) -> list[BatchMessage]:
    """Return the messages that make the change *delta*.

    Deletions come first: an updated element is one deleted and created in the same transaction.
    """
    gone: dict[int, list[bytes]] = defaultdict(list)
    for elements in (delta.delete, delta.update):
        for element in elements:
            code = element[0]
            gone[code].append(_FRAMES[code].key_head + element[1:])
    updated = ((element, data) for element, (_, data) in delta.update.items())
    new = _entries(chain(updated, delta.create.items()))
    return [*_messages(_DELETE_ELEMENTS, 0, gone), *_messages(_NEW_ELEMENTS, CREATE, new)]


def _entries(elements: Iterable[tuple[Element, bytes]]) -> dict[int, list[bytes]]:
    """Return the list entries that create *elements*, by the codes of their maps."""
    found: dict[int, list[bytes]] = {}
    known: dict[int, tuple[Callable[[bytes], None], bytes, bytes]] = {}
    for element, data in elements:
        code = element[0]
        try:  # one lookup for each element: a first load has 100,000
            append, head, data_head = known[code]
        except KeyError:
            found[code], frame = [], _FRAMES[code]
            append, head, data_head = found[code].append, frame.head, frame.data_head
            known[code] = append, head, data_head
        append(b"".join((head, element[1:], data_head, data)))
    return found


def emptying(table: Table, name: str) -> BatchMessage:
    """Return the message that deletes all elements of the set *name*."""
    names = (_TABLE, table.name), (_SET, name)
    body = b"".join(attribute(kind, text.encode() + b"\0") for kind, text in names)
    what = f"all elements of {table} {name}"
    return BatchMessage(_DELETE_ELEMENTS, 0, netfilter(FAMILIES[table.family]) + body, what)


def encode_expiring(kept: Iterable[ExpiringElement]) -> list[BatchMessage]:
    """Return the messages that add the elements *kept* with their remaining time."""
    new: dict[int, list[bytes]] = defaultdict(list)
    for element, data, timeout, expires in kept:
        head = nest(_KEY, attribute(_VALUE, element[1:])) + nest(_DATA, attribute(_VALUE, data))
        # A packet prolongs an element by the current timeout; the element keeps its first timeout.
        times = ((_TIMEOUT, max(timeout, expires)), (_EXPIRATION, max(expires, 1)))
        ends = b"".join(attribute(kind, value.to_bytes(8, "big")) for kind, value in times)
        new[element[0]].append(attribute(NESTED | _ELEMENT, head + ends))
    return list(_messages(_NEW_ELEMENTS, CREATE, new))


def _messages(kind: int, flags: int, entries: Mapping[int, list[bytes]]) -> Iterator[BatchMessage]:
    """Yield messages with the list entries of each map, which all have the same width."""
    for code, listed in entries.items():
        step, frame = _LIST_BYTES // len(listed[0]), _FRAMES[code]
        for start in range(0, len(listed), step):
            chunk = b"".join(listed[start : start + step])
            body = frame.opening + _header.pack(4 + len(chunk), NESTED | _LIST) + chunk
            yield BatchMessage(kind, flags, body, frame.name)


def element_of(map_: Map, entry: bytes) -> tuple[Element, bytes]:
    """Return the element and data in the list entry *entry* of *map_*."""
    key = data = b""
    for kind, value in attributes(entry):
        if kind == _KEY:
            key = value[4 : 4 + map_.key_width]
        elif kind == _DATA:
            data = value[4 : 4 + map_.data_width]
    return map_.prefix + key, data


def elements_of(map_: Map, body: bytes) -> list[tuple[Element, bytes]]:
    """Return the elements of *map_* that a message with the attributes *body* lists."""
    lists = (value for kind, value in attributes(body) if kind == _LIST)
    return [element_of(map_, entry) for each in lists for _, entry in attributes(each)]


def expiring_of(map_: Map, body: bytes) -> list[ExpiringElement]:
    """Return the elements of *map_* with a timeout that a message lists."""
    found = []
    for entry in (
        e for kind, value in attributes(body) if kind == _LIST for _, e in attributes(value)
    ):
        times = dict(attributes(entry))
        if _TIMEOUT in times and _EXPIRATION in times:
            timeout, expires = (int.from_bytes(times[k], "big") for k in (_TIMEOUT, _EXPIRATION))
            found.append(ExpiringElement(*element_of(map_, entry), timeout, expires))
    return found


def name_of(messages: Sequence[BatchMessage], sequence: int, offset: int | None) -> str:
    """Return what the kernel's error about *messages* refers to: an element, or else a message.

    *sequence* is the message's; *offset* is the element's offset in it, if the kernel reports it.
    """
    if not 0 < sequence <= len(messages):
        return "the transaction"
    kind, _, sent, what = messages[sequence - 1]
    verbs = {_DELETE_ELEMENTS: "to delete ", _NEW_ELEMENTS: "to add "}
    map_ = _map_of(sent) if kind in verbs else None
    if map_ is None or offset is None:
        return f"{verbs.get(kind, '')}{what}"
    start = offset - _NETLINK_HEADER
    if not _HEADER + len(target(map_)) < start <= len(sent) - _header.size:
        return f"{verbs[kind]}{what}"
    length, _ = _header.unpack_from(sent, start)
    element, data = element_of(map_, sent[start + 4 : start + length])
    text = map_.element_text(element, data) if data or not map_.data else map_.key_text(element)
    return f"{verbs[kind]}{{ {text} }} in {map_.table} {map_.name}"


def _map_of(sent: bytes) -> Map | None:
    """Return the map of the elements in a message with the body *sent*; None for a rule's."""
    return next(
        (BY_CODE[code] for code, each in _FRAMES.items() if sent.startswith(each.opening)), None
    )
