"""Sets and maps, and their elements, as the bodies of messages."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_network
from itertools import pairwise
from typing import Final

from groundplane.kernel.netlink import NESTED, attribute, nest
from groundplane.kernel.ruleset import expressions, selectors
from groundplane.kernel.ruleset.expressions import text, u32
from groundplane.kernel.ruleset.reading import Reader
from groundplane.kernel.ruleset.selectors import VERDICT, Selector, udata, udata_number
from groundplane.kernel.ruleset.syntax import Set, milliseconds

_ANONYMOUS, _CONSTANT, _INTERVAL, _MAP, _TIMEOUT, _EVAL = 1, 2, 4, 8, 16, 32  # NFT_SET_*
_FLAGS: Final = {"interval": _INTERVAL, "timeout": _TIMEOUT, "dynamic": _EVAL}
_END: Final = 1  # NFT_SET_ELEM_INTERVAL_END
_LISTED: Final = NESTED | 1  # NFTA_LIST_ELEM
_KEY, _DATA, _ELEMENT_FLAGS = 1, 2, 3  # NFTA_SET_ELEM_*
# Tells nft that an interval has no end: libnftnl's udata_set_elem_type.
_OPEN: Final = attribute(6, udata_number(1, 1))
# An attribute's length has 16 bits, and the list of a message's elements is one attribute.
LIST_BYTES: Final = 60_000


@dataclass(frozen=True)
class Fields:
    """The fields of a key or of data; a verdict has no fields."""

    parts: tuple[Selector, ...]

    @property
    def type(self) -> int:
        """The number of nft's type; that of a concatenation has six bits for each field."""
        if not self.parts:
            return VERDICT
        number = 0
        for each in self.parts:
            number = number << 6 | each.type.number
        return number

    @property
    def width(self) -> int:
        """The width in bytes; fields of a concatenation are padded to registers."""
        if not self.parts:
            return 16
        return self.parts[0].type.width if len(self.parts) == 1 else 4 * self.words

    @property
    def words(self) -> int:
        return sum(each.type.words for each in self.parts)

    @property
    def order(self) -> int:
        """nft's number of a byte order; 0 for several fields, and for a verdict."""
        if len(self.parts) != 1:
            return 0
        return 1 if self.parts[0].type.order == "host" else 2

    @property
    def declared(self) -> bytes:
        if not self.parts:
            return selectors.DECLARED_VERDICT
        found = tuple(each.declared for each in self.parts)
        return found[0] if len(found) == 1 else selectors.concatenation(found)


def fields_of(words: Sequence[str]) -> Fields:
    """Return the fields that *words* name, as after typeof. ValueError or KeyError otherwise."""
    if tuple(words) == ("verdict",):
        return Fields(())
    reader = Reader(words)
    found = Fields(tuple(reader.selectors()))
    if not reader.has_ended:
        raise ValueError
    return found


@dataclass(frozen=True)
class Declared:
    """A declared set; *number* identifies it in this transaction."""

    name: str
    number: int
    key: Fields
    data: Fields | None = None
    size: int = 0
    flags: int = 0
    timeout_ms: int = 0
    auto_merge: bool = False

    @classmethod
    def named(cls, found: Set, number: int) -> "Declared":
        flags = 0
        for each in found.flags:
            flags |= _FLAGS[each]
        return cls(
            found.name,
            number,
            fields_of(found.key),
            fields_of(found.data) if found.data else None,
            found.size,
            flags | (_MAP if found.data else 0),
            milliseconds(found.timeout) if found.timeout else 0,
            found.auto_merge,
        )

    @classmethod
    def anonymous(cls, selector: Selector, number: int, size: int) -> "Declared":
        """Return an anonymous set of one rule; the kernel replaces %d in its name."""
        return cls("__set%d", number, Fields((selector,)), None, size, _ANONYMOUS | _CONSTANT)

    @property
    def has_port(self) -> bool:
        return self.data is not None and len(self.data.parts) == 2

    @property
    def is_interval(self) -> bool:
        return bool(self.flags & _INTERVAL)

    @cached_property
    def body(self) -> bytes:
        """The attributes of a message that creates the set, without its table's name."""
        data = b""
        if self.data is not None:
            data = u32(6, self.data.type) + u32(7, self.data.width)
        size = nest(9, u32(1, self.size)) if self.size else b""
        timeout = attribute(11, self.timeout_ms.to_bytes(8, "big")) if self.timeout_ms else b""
        head = (
            text(2, self.name) + u32(3, self.flags) + u32(4, self.key.type) + u32(5, self.key.width)
        )
        return head + data + size + u32(10, self.number) + timeout + attribute(13, self._userdata)

    @property
    def _userdata(self) -> bytes:
        """What nft(8) needs to list the set as it was written: libnftnl's enum udata_set_type."""
        found = udata_number(0, self.key.order)
        if self.data is not None:
            found += udata_number(1, self.data.order)
        if self.auto_merge:
            found += udata_number(2, 1)
        found += udata(3, self.key.declared)
        if self.data is not None:
            found += udata(4, self.data.declared) + udata_number(6, 0)
        return found


def elements(found: Declared, written: Sequence[tuple[str, ...]]) -> list[bytes]:
    """Return the list entries of the elements *written*; each element is given as its words."""
    if found.is_interval:
        return list(_intervals([each for (each,) in written], auto_merge=found.auto_merge))
    return [_element(found, words) for words in written]


def values(raws: Sequence[bytes]) -> list[bytes]:
    """Return the list entries of elements with these keys."""
    return [_entry(each) for each in raws]


def _element(found: Declared, words: tuple[str, ...]) -> bytes:
    (selector,) = found.key.parts
    key, *rest = words
    data = b""
    if found.data is not None:
        colon, *verdict = rest
        if colon != ":" or found.data.parts:
            raise ValueError
        data = expressions.verdict(_DATA, *verdict)
    elif rest:
        raise ValueError
    return _entry(selector.type.parse(key), data)


def _entry(key: bytes, rest: bytes = b"") -> bytes:
    return attribute(_LISTED, expressions.value(_KEY, key) + rest)


def _intervals(written: Sequence[str], *, auto_merge: bool) -> Iterator[bytes]:
    """Yield the bounds of the intervals: the first address of each, and the one after its last.

    As in nft, an end at the lowest address of the family means that no interval begins there.
    """
    networks = [ip_network(each) for each in written]
    width = networks[0].max_prefixlen // 8
    bounds = sorted((int(each[0]), int(each[-1]) + 1) for each in networks)
    merged = [bounds[0]]
    for first, end in bounds[1:]:
        if auto_merge and first <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((first, end))
    if any(end > first for (_, end), (first, _) in pairwise(merged)):
        raise ValueError
    ended = u32(_ELEMENT_FLAGS, _END)
    if merged[0][0]:
        yield _entry(bytes(width), ended)
    for first, end in merged:
        begins = first.to_bytes(width, "big")
        if end < 1 << 8 * width:
            yield _entry(begins)
            yield _entry(end.to_bytes(width, "big"), ended)
        else:
            yield _entry(begins, _OPEN)


def in_messages(entries: Sequence[bytes], body: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """Yield the bodies of messages that list *entries*; *body* prepends the other attributes."""
    start = 0
    while start < len(entries):
        size, end = 0, start
        while end < len(entries) and size + len(entries[end]) <= LIST_BYTES:
            size, end = size + len(entries[end]), end + 1
        yield body(nest(3, *entries[start:end]))
        start = end
