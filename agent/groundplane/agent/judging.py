"""Which workloads fail: as a file says that somebody else writes, and as probes find out."""

import asyncio
import logging
from pathlib import Path
from typing import Final

from watchfiles import awatch

from groundplane.agent.convergence import Convergence
from groundplane.agent.report import Report
from groundplane.choose import Failing
from groundplane.errors import GroundplaneError
from groundplane.load import read_health
from groundplane.snapshot import Key

log = logging.getLogger(__name__)

_AGAIN_S: Final = 4.0


class Judging:
    """Brings what the health file *file*, which need not be there, says."""

    def __init__(self, file: Path, convergence: Convergence, report: Report) -> None:
        self._file, self._convergence, self._report = file, convergence, report
        self._told: Failing = frozenset()  # by the file

    async def run(self) -> None:
        """Follow the file until cancelled."""
        while True:
            try:
                await self.look()
                async for changes in awatch(
                    self._file.parent, debounce=100, step=20, watch_filter=None, recursive=False
                ):
                    if any(path == str(self._file) for _, path in changes):
                        await self.look()
            except (OSError, RuntimeError) as error:
                log.warning("cannot watch %s: %s", self._file.parent, error)
            await asyncio.sleep(_AGAIN_S)

    async def look(self) -> None:
        """Bring what the file says; one that cannot be read changes nothing."""
        error = ""
        try:
            self._told = read_health(self._file) if self._file.exists() else frozenset()
        except (GroundplaneError, OSError) as problem:
            error = str(problem)
            if error != self._report.status.health_error:
                log.error("the health file is not used: %s", error)
        await self._convergence.judge(self._told, self._why)
        self._report.tell(health_error=error, failing=len(self._told))

    def _why(self, _workload: Key) -> str:
        return "as the health file says"
