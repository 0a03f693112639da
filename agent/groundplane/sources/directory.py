"""A directory on this machine."""

from pathlib import Path

from groundplane.load import fingerprint_of
from groundplane.sources.content import Content


class DirectorySource:
    """The directory *path*, which need not exist: the compiler reports that."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.watched: Path | None = path

    async def look(self) -> Content:
        """Return the directory; what it has is told by its files' names, sizes and times."""
        path = Path(self.name)
        return Content(fingerprint_of(path), "", path, None, self.name)
