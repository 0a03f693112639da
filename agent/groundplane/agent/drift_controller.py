"""Keeps the dataplanes as declared: repairs others' changes, retries refused changes.

Others' changes are reported, or found by cheap checks; objects are read only after a change.
"""

import asyncio
import contextlib
import time
from typing import Final

from groundplane.agent.apply_worker import Planes
from groundplane.agent.controller import Controller
from groundplane.agent.report import Report
from groundplane.agent.status import Status
from groundplane.agent.timings import TIMINGS, Timings
from groundplane.dataplanes import Watching

_TOGETHER_S: Final = 0.05  # a burst gets one repair, and this is the minimum time between repairs
_EARLY_S: Final = 1.0  # checks due this soon are done with those due now


class DriftController:
    """Resyncs each of *planes* when a change is reported, and at least once in its resync interval."""

    def __init__(
        self, planes: Planes, controller: Controller, report: Report, timings: Timings = TIMINGS
    ) -> None:
        self._controller, self._report, self._retries = controller, report, timings.retries
        self._every = {
            plane.name: plane.resync_interval_s for plane in planes if isinstance(plane, Watching)
        }
        self._due = dict.fromkeys(self._every, 0.0)  # when each is checked next
        self._heard: set[str] = set()
        self._awake = asyncio.Event()
        self._forced = False
        self._failures = 0
        self._retry = 0.0  # when what was refused is tried again
        self._descriptors: dict[int, str] = {}  # readable when others changed something
        report.listen(self._told)

    def force_resync(self) -> None:
        """Read all dataplanes, and repair differences."""
        self._forced = True
        self._awake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        loop = asyncio.get_running_loop()
        self._descriptors = {}
        listening = asyncio.create_task(self._listen())

        def heard(descriptor: int) -> None:
            loop.remove_reader(descriptor)  # until it was read, it stays readable
            self._heard.add(self._descriptors[descriptor])
            self._awake.set()

        try:
            while True:
                for descriptor in self._descriptors:
                    loop.add_reader(descriptor, heard, descriptor)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._patience()):
                        await self._awake.wait()
                self._awake.clear()
                await asyncio.sleep(_TOGETHER_S)
                await self._resync()
        finally:
            listening.cancel()
            for descriptor in self._descriptors:
                loop.remove_reader(descriptor)

    async def _listen(self) -> None:
        async for found in self._controller.listen():
            self._descriptors |= found
            self._awake.set()

    def _told(self, _status: Status) -> None:
        """Wake up when something was refused, to retry it soon."""
        if not self._failures and self._is_behind():
            self._awake.set()

    def _patience(self) -> float:
        """Return in how many seconds something is due."""
        due = [min(self._due.values()) - time.monotonic()]
        if self._failures:
            due.append(self._retry - time.monotonic())
        if (repair := self._controller.next_repair()) is not None:
            due.append(repair)
        return max(0.0, min(due))

    async def _resync(self) -> None:
        now = time.monotonic()
        names = {name for name, due in self._due.items() if due <= now + _EARLY_S} | self._heard
        forced, self._forced = self._forced, False
        self._heard = set()
        if forced:
            names = set(self._every)
        self._due |= {name: now + self._every[name] for name in names}
        await self._controller.resync(names, forced=forced)
        if self._failures and now >= self._retry:
            await self._controller.retry()
        elif self._failures and self._is_behind():
            return
        self._failures = self._failures + 1 if self._is_behind() else 0
        if self._failures:
            self._retry = now + self._retries[min(self._failures, len(self._retries)) - 1]

    def _is_behind(self) -> bool:
        status = self._report.status
        return any(plane.error for plane in status.planes) or bool(status.health_check_errors)
