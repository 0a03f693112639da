"""What a source has."""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Content:
    """What a source has now: a catalog of YAML to compile, or a compiled site."""

    stamp: Hashable
    revision: str
    directory: Path | None
    snapshot: bytes | None
    shown: str


class Source(Protocol):
    @property
    def name(self) -> str:
        """The source as the status shows it."""

    @property
    def watched(self) -> Path | None:
        """A local directory, whose changes are seen at once."""

    async def look(self) -> Content:
        """Return what the source has; SourceError with the place of what is wrong."""
