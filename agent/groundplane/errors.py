"""Error types: they keep their fields, and their text is built in one place.

GroundplaneError
├── CatalogError          the documents have errors; nothing was changed
├── LockOutdated          the catalog needs an address that the lock file does not have
├── SourceError           the source cannot be read at all
├── LimitReached          reading the input needs more memory or CPU time than allowed
├── ChangeHeld            a change exceeds the catalog's limits for one change
├── StateError            a file that groundplane itself wrote is damaged
└── KernelRefused         the kernel or a program rejected a change
    ├── ChangeRejected    because of its content; nothing of it was written
    └── ObjectsRefused    single objects of it; everything else was written
"""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

FieldFaults = Iterator[tuple[str, str]]  # the path of a field, and what is wrong with it

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LONG = 400  # characters; longer text is cut to its beginning and its end
_TAIL: Final = 40  # characters, at most, for the note on omitted items
MAX_TEXT: Final = 64 << 10  # characters of one text that an agent keeps: some hundred faults


def printable(text: str) -> str:
    """Return *text* on one line, without terminal control characters."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class Origin(NamedTuple):
    """The file and line of an object or an error."""

    file: str
    line: int  # from 1; 0 for the file or directory as a whole
    within: str = ""  # the path to it in its document, when that is a List
    item_line: int = 0  # the line of that item, 0 if it is not known

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Fault(NamedTuple):
    """One error in the catalog, and its place."""

    origin: Origin
    subject: str  # kind/namespace/name, or "" for an error of the file itself
    path: str  # dotted path inside the document, or ""
    message: str

    def __str__(self) -> str:
        parts = (self.subject, self.path, self.message)
        text = ": ".join((str(self.origin), *(shortened(part) for part in parts if part)))
        return printable(text)  # one line for each fault


def shortened(text: str) -> str:
    """Return *text*; if it is long, return its beginning and its end."""
    return text if len(text) <= _LONG else f"{text[: _LONG // 2]} ... {text[-_LONG // 4 :]}"


def bounded(text: str, most: int = MAX_TEXT) -> str:
    """Return *text*; over *most* characters, return its first lines and how many follow."""
    if len(text) <= most:
        return text
    room = text[: most - _TAIL]
    kept = room.rpartition("\n")[0]
    if not kept:
        return f"{room} ..."
    left = text.count("\n", len(kept) + 1) + 1
    return f"{kept}\n... and {left} more line{'' if left == 1 else 's'}"


class GroundplaneError(Exception):
    """Base of all expected errors; the text is for the user."""


MAX_FAULTS: Final = 100  # reported at once; the others follow when these are fixed


class CatalogError(GroundplaneError):
    """The catalog has errors: these, sorted by file and line, and *more* that are not reported.

    Unless *all_counted*, the files after them were not read.
    """

    def __init__(self, faults: Sequence[Fault], more: int = 0, *, all_counted: bool = True) -> None:
        self.faults = tuple(sorted(set(faults)))
        self.more = more
        self._at_least = "" if all_counted else "at least "
        lines = [str(fault) for fault in self.faults[:MAX_FAULTS]]
        if left := more + len(self.faults) - len(lines):
            lines.append(f"and {self._at_least}{left} more")
        super().__init__("\n".join(lines))

    @property
    def count(self) -> str:
        """The number of errors, as text."""
        found = len(self.faults) + self.more
        return f"{self._at_least}{found} fault{'' if found == 1 else 's'}"


class LockOutdated(GroundplaneError):
    """The lock file would change: `groundplane allocate` has to be run and its result committed."""


class SourceError(GroundplaneError):
    """The source is missing or unreadable."""


class LimitReached(GroundplaneError):
    """A process needs more memory or CPU time than it may have."""


class ChangeHeld(GroundplaneError):
    """A change of the site exceeds its limits for one change; nothing was changed."""


class StateError(GroundplaneError):
    """A file of groundplane's own state is damaged."""


class KernelRefused(GroundplaneError):
    """The kernel, or a program that talks to it, rejected a change as a whole."""


class ChangeRejected(KernelRefused):
    """The content of a change was rejected, and nothing of it was written.

    A part of it, written alone, may be accepted.
    """


class ObjectsRefused(KernelRefused):
    """Some objects of a change were rejected; all others were written.

    *reasons* is keyed by object, or by its user-visible name ("Service/default/web").
    """

    def __init__(self, reasons: Mapping[Any, str]) -> None:
        self.reasons: dict[Hashable, str] = dict(reasons)
        super().__init__(self.located({}))

    def located(self, places: Mapping[str, str]) -> str:
        """Return the text of the error with the *places* of objects by their names."""
        texts = dict.fromkeys(
            f"{reason} ({places[key]})" if isinstance(key, str) and key in places else reason
            for key, reason in self.reasons.items()
        )
        more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
        return "; ".join([*texts][:_SHOWN]) + more


_SHOWN: Final = 5  # reasons in one message
