"""The content that every kind of source returns, and the interface of a source."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from groundplane.errors import SourceError


@dataclass(frozen=True)
class Content:
    """A source's current content: either a directory or a snapshot."""

    fingerprint: Hashable  # equal: the same content; () means that reading it tells an error
    revision: str  # for people: the commit's hash, the snapshot's revision, "" for a directory
    directory: Path | None  # a catalog of YAML to compile, ...
    snapshot: bytes | None = field(repr=False)  # ... or a compiled site, verified
    shown: str  # what stands in messages in place of *directory*


class Source(Protocol):
    """Where a site comes from."""

    name: str  # as the status shows it
    watched: Path | None  # a directory whose changes are seen at once; None: look again and again

    async def look(self) -> Content:
        """Return the source's current content; SourceError, on one line, if it is unavailable.

        As long as nothing has changed there, this costs next to nothing and returns the same object.
        """
        ...


class Unfit(SourceError):
    """A terminal error: the source's content is unusable until it changes."""


def size_of(number: int) -> str:
    """Return a number of bytes for people."""
    return f"{number >> 20} MiB" if number >= 1 << 20 else f"{number} bytes"
