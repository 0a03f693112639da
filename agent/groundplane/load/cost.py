"""Cost of parsing a YAML document, estimated before the parser runs. Pure.

The parser's time grows with the square of the depth of flow collections (100 kB of `[` took 35 s), and
it expands each alias, so that 1 MB of text became 2 GB. A scan of the characters finds suspicious
documents; only those are read again, event by event, until the limit is exceeded.
"""

from dataclasses import dataclass
from typing import Any, Final

MAX_DEPTH: Final = 128  # ryaml's own, and more than Kubernetes' deepest schemas
MAX_ALIAS_BYTES: Final = 16 << 20  # that aliases may add to all documents of a source together
BYTES_PER_VALUE: Final = 400  # of memory, at most, while a document is parsed
MAX_VALUES: Final = 4_000_000  # of a document: four times those of 10,000 services in one List
_SUSPECT: Final = MAX_DEPTH // 2
_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_DEEPEST: Final = b" " * _SUSPECT
_NO_BRACKETS: Final = bytes({*range(256)} - {*b"[]{}"})
_INDENTS: Final = bytes.maketrans(b"\t-?:", b"    ")  # the characters before the values of a block
_PUNCTUATION: Final = 2  # bytes that come with each value: quotes, brackets, a comma and a space
_DEEP: Final = f"nested more than {MAX_DEPTH} deep; make it flatter"
_CYCLE: Final = "an alias of what it stands in; write the value out"
_TOO_MUCH: Final = (
    f"aliases come to more than {MAX_ALIAS_BYTES >> 20} MiB when they are written out; use fewer"
)


class CostError(Exception):
    """A document costs too much; *line* (from 1) is where it exceeds the limit."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass
class Room:
    """Limits of a source: *left* bytes that its aliases may still add, *values* per document."""

    left: int = MAX_ALIAS_BYTES
    values: int = MAX_VALUES


def room_in(memory: int) -> Room:
    """Return the limits of a source whose reader has *memory* bytes."""
    return Room(values=min(MAX_VALUES, memory // BYTES_PER_VALUE))


def check_cost(text: str, room: Room, *, is_flat: bool = False) -> None:
    """Raise CostError if *text* is too deep, or its aliases need more than *room*, which is reduced.

    *is_flat*: `has_flat_blocks` says so of *text*, or of a text that contains it. The time grows
    with the length of *text*. Text that is not YAML may pass.
    """
    # Each value has at least one character.
    has_many = len(text) > room.values and _most_values(text) > room.values
    if has_many or ("&" in text and "*" in text) or _may_be_deep(text, is_flat=is_flat):
        _read(text, room)


def has_flat_blocks(text: str) -> bool:
    """Return whether no block of *text*, of several documents or one, could be too deep.

    Each block level is indented further than its parent, except a list below its key.
    """
    return _DEEPEST not in text.encode(errors="replace").translate(_INDENTS)


def _may_be_deep(text: str, *, is_flat: bool) -> bool:
    """Return whether *text* could be too deep; text in quotes and comments counts as structure."""
    if not is_flat and not has_flat_blocks(text):
        return True
    if text.count("[") + text.count("{") <= _SUSPECT:
        return False
    raw = text.encode(errors="replace")
    brackets = raw.translate(_BRACKETS, _NO_BRACKETS)
    for taken in range(_SUSPECT):
        if brackets.count(b"[") <= _SUSPECT - taken:
            return False
        outer = brackets.replace(b"[]", b"")  # without the innermost level
        if len(outer) == len(brackets):
            return True
        brackets = outer
    return True


def _most_values(text: str) -> int:
    """Return an upper bound for the values in *text*: one of these characters precedes each."""
    return sum(map(text.count, ",[{:-?\n")) + 1


def _read(text: str, room: Room) -> None:
    import yaml  # imported once a document could be one of these

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    reading = _Reading(room)
    try:
        for event in yaml.parse(text, Loader=loader):
            reading.take(event)
    except yaml.MarkedYAMLError as error:
        if "nesting" in str(error.context or "") + str(error.problem or ""):
            raise CostError(_DEEP, _line(error.problem_mark)) from None
    except yaml.YAMLError:
        pass  # a character that YAML forbids; the parser reports it


def _line(mark: Any) -> int:
    return mark.line + 1 if mark else 0


class _Reading:
    """Sums the expanded size of each open collection and of each anchor."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._open: list[tuple[str | None, int]] = [(None, 0)]  # anchors and sizes
        self._sizes: dict[str, int] = {}
        self._unfinished: set[str] = set()
        self._values = 0

    def take(self, event: Any) -> None:
        import yaml

        if isinstance(event, yaml.AliasEvent):
            self._add(self._of_alias(event))
        elif isinstance(event, yaml.ScalarEvent):
            self._count(event)
            size = len(event.value.encode(errors="replace")) + _PUNCTUATION
            if event.anchor:
                self._sizes[event.anchor] = size
                self._unfinished.discard(event.anchor)  # the last anchor of a name counts
            self._add(size)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._count(event)
            self._open.append((event.anchor, _PUNCTUATION))
            if len(self._open) > MAX_DEPTH + 1:
                raise CostError(_DEEP, _line(event.start_mark))
            if event.anchor:
                self._unfinished.add(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = self._open.pop()
            if anchor:
                self._unfinished.discard(anchor)
                self._sizes[anchor] = size
            self._add(size)

    def _count(self, event: Any) -> None:
        self._values += 1
        if self._values > self._room.values:
            message = f"over {self._room.values} values in one document; split it"
            raise CostError(message, _line(event.start_mark))

    def _add(self, size: int) -> None:
        anchor, before = self._open[-1]
        self._open[-1] = anchor, before + size

    def _of_alias(self, event: Any) -> int:
        line = _line(event.start_mark)
        if event.anchor in self._unfinished:
            raise CostError(_CYCLE, line)
        size = self._sizes.get(event.anchor, 0)  # the parser reports an unknown anchor
        self._room.left -= size
        if self._room.left < 0:
            raise CostError(_TOO_MUCH, line)
        return size
