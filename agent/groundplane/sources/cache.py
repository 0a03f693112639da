"""The cache of a repository: the repository, and its newest exports, each complete or absent.

    repository.git   what was fetched, so that a change costs what has changed
    <40 digits>      an export, named by its tree
    ssh-*            the socket of a connection
    .work-*          one update that is under way; it is thrown away unless it ends well

A child of an update writes only below .work-*. Whatever stops it, the next one begins from what was
good, and sweeps the rest.
"""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

_REPOSITORY: Final = "repository.git"
_EXPORT: Final = re.compile(r"[0-9a-f]{40,64}")
_EXPORTS: Final = 2  # one may still be read while the next is there
_PACKS: Final = 50


class Cache:
    """The directory *path*, which only this class uses."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self._max_bytes = max_bytes

    def make(self) -> None:
        """Create the directory if it does not exist."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def has_repository(self) -> bool:
        return (self.path / _REPOSITORY).exists()

    def begin(self) -> Path:
        """Return where an update may write; `repository` of it may be there already."""
        for left in self.path.glob(".work-*"):
            shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=".work-", dir=self.path))
        if self.has_repository():
            (self.path / _REPOSITORY).rename(repository(work))
            if self._has_grown(repository(work)):
                shutil.rmtree(repository(work))
        return work

    def _has_grown(self, of: Path) -> bool:
        """Return whether fetching everything again is better than keeping unneeded objects."""
        sizes = [pack.stat().st_size for pack in of.glob("objects/pack/*.pack")]
        return len(sizes) > _PACKS or sum(sizes) > self._max_bytes

    def keep(self, work: Path, tree: str) -> Path:
        """Keep the update's results, with its export as that of *tree*; return the export."""
        kept = self.path / tree
        if kept.exists():  # of an earlier process: who knows what has become of it
            kept.rename(work / "replaced")
        export(work).rename(kept)
        kept.touch()
        repository(work).rename(self.path / _REPOSITORY)
        for old in self._exports()[:-_EXPORTS]:
            shutil.rmtree(old, ignore_errors=True)
        return kept

    def _exports(self) -> list[Path]:
        """Return the exports, the newest one last."""
        found = [each for each in self.path.iterdir() if _EXPORT.fullmatch(each.name)]
        return sorted(found, key=lambda each: each.stat().st_mtime_ns)

    def newest_export(self) -> Path | None:
        return next(iter(self._exports()[-1:]), None)

    def end(self, work: Path) -> None:
        """Delete the rest of the update."""
        shutil.rmtree(work, ignore_errors=True)


def repository(work: Path) -> Path:
    return work / _REPOSITORY


def export(work: Path) -> Path:
    return work / "export"
