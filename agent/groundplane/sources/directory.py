"""A directory of this node."""

from dataclasses import dataclass
from pathlib import Path

from groundplane.load import stamp_of
from groundplane.sources.content import Content


@dataclass(frozen=True)
class Directory:
    watched: Path

    @property
    def name(self) -> str:
        return str(self.watched)

    async def look(self) -> Content:
        return Content(stamp_of(self.watched), "", self.watched, None, str(self.watched))
