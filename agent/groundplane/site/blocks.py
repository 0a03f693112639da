"""Blocks of a snapshot: some lines, each a key, a tab and a value as JSON."""

import hashlib
from enum import IntEnum
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

Key = tuple[str, str]  # namespace and name of a service, or of a workload
_PROBE: Final = "!"  # no namespace begins with it, and it comes before all of them
_PLACES: Final = "~"  # no namespace begins with it, and it comes after all of them


class Kind(IntEnum):
    """The kind of a line, in the order of a snapshot."""

    WORKLOADS = 0  # of a node: it has no namespace
    PROBE = 1  # of a workload
    SERVICE = 2
    PLACES = 3  # of the objects of a file, whose quoted path is the name


class LineKey(NamedTuple):
    """The key of a line: `/NODE`, `!NAMESPACE/WORKLOAD`, `NAMESPACE/SERVICE` or `~/PATH`."""

    kind: Kind
    namespace: str
    name: str

    @classmethod
    def parsed(cls, text: str) -> "LineKey":
        namespace, _, name = text.partition("/")
        if not namespace:
            return cls(Kind.WORKLOADS, "", name)
        if namespace.startswith(_PROBE):
            return cls(Kind.PROBE, namespace.removeprefix(_PROBE), name)
        if namespace == _PLACES:
            return cls(Kind.PLACES, "", name)
        return cls(Kind.SERVICE, namespace, name)

    @property
    def text(self) -> str:
        prefix = {Kind.PROBE: _PROBE, Kind.PLACES: _PLACES}.get(self.kind, "")
        return f"{prefix}{self.namespace}/{self.name}"

    @property
    def named(self) -> Key:
        return self.namespace, self.name


def quoted(path: str) -> str:
    """Return the name of the line that has the places of the file *path*, quoted as in a URL."""
    return quote(path, safe="", errors="surrogateescape")


def unquoted(name: str) -> str:
    """Return the path that *name* quotes; bytes that are not UTF-8 are replaced, to be shown."""
    return unquote(name, errors="replace")


class Block(NamedTuple):
    """Some lines, starting with that of *first*, and their entry in the header."""

    entry: bytes
    first: LineKey
    length: int  # in lines
    lines: bytes


def digest_of(lines: bytes) -> str:
    return hashlib.sha256(lines).hexdigest()[:32]
