"""The whole agent: its parts, each in its own task, and how it starts and stops.

Fail static: a source that cannot be read or compiled changes only the status; a dataplane that
refuses a change keeps its objects and is retried; stopping leaves everything in place.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from groundplane import __version__
from groundplane.agent import SOCKET
from groundplane.agent.api import Api
from groundplane.agent.apply_worker import Planes
from groundplane.agent.controller import Controller
from groundplane.agent.drift_controller import DriftController
from groundplane.agent.health_monitor import HealthMonitor
from groundplane.agent.http import Server
from groundplane.agent.notify import notify, watchdog_interval
from groundplane.agent.report import Report
from groundplane.agent.source_watcher import SourceWatcher
from groundplane.agent.status import PlaneStatus, Status
from groundplane.agent.store import load_site
from groundplane.agent.timings import TIMINGS, Timings
from groundplane.errors import GroundplaneError, StateError
from groundplane.sources import Source

log = logging.getLogger(__name__)

_FOR_ALL: Final = 0o666  # its answers are not secret, and requests do no harm
_AGAIN_S: Final = 1.0  # before a part that failed with an unexpected error restarts


@dataclass(frozen=True)
class Settings:
    """Settings from the agent's unit."""

    node: str
    source: Source
    health: Path  # an optional file, see sources/health_file.py
    state_directory: Path
    runtime_directory: Path
    poll_s: float = 5.0
    metrics: str = ""  # ADDRESS:PORT, "" for none
    healthz: str = ""
    timings: Timings = TIMINGS


class Agent:
    """The agent on one node; *lanes* has the dataplanes of each apply worker, in order."""

    def __init__(self, settings: Settings, lanes: Sequence[Planes]) -> None:
        self._settings = settings
        planes = list(chain.from_iterable(lanes))
        status = Status(
            node=settings.node,
            version=__version__,
            pid=os.getpid(),
            started=time.time(),
            source=settings.source.name,
            planes=tuple(PlaneStatus(plane.name) for plane in planes),
        )
        self.report = Report(status, settings.runtime_directory)
        self._controller = Controller(settings.node, lanes, self.report, settings.timings)
        self._following = SourceWatcher(
            settings.source,
            self._controller,
            self.report,
            settings.state_directory,
            settings.poll_s,
            settings.timings,
        )
        self._keeping = DriftController(planes, self._controller, self.report, settings.timings)
        answers = Api(self.report, self.report.metrics, self._following.poke, settings.timings)
        self._local, self._observed = Server(answers.local), Server(answers.observed)

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        life = asyncio.create_task(self._sign_of_life())
        work = asyncio.create_task(self._work())
        await asyncio.wait(
            [work, asyncio.create_task(stopping.wait())], return_when=asyncio.FIRST_COMPLETED
        )
        notify("STOPPING=1")
        for task in (work, life):
            task.cancel()
        ended, _ = await asyncio.gather(work, life, return_exceptions=True)
        self._controller.close()
        self._local.close()
        self._observed.close()
        if isinstance(ended, Exception):
            raise ended

    async def _work(self) -> None:
        """Start from the stored site, then run every part until stopped."""
        self.report.tell()
        await self._listen()
        settings = self._settings
        health_monitor = HealthMonitor(
            settings.node,
            settings.health,
            settings.state_directory,
            self._controller,
            self.report,
            settings.timings,
        )
        health_monitor.read()
        try:
            await self._live(health_monitor)
        finally:
            await health_monitor.close()

    async def _live(self, health_monitor: HealthMonitor) -> None:
        self.report.listen(lambda status: notify(f"STATUS={status.summary}"))
        if await self._start_from_store():
            self._ready()
        parts = (
            self._following.watch,
            self._following.run,
            health_monitor.watch,
            health_monitor.run,
            self._keeping.run,
        )
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(_for_ever(part))
            await self._first_look()
            self._ready()

    async def _listen(self) -> None:
        """Answer commands, Prometheus and load balancers; failing to bind is reported, not fatal."""
        path = self._settings.runtime_directory / SOCKET
        try:
            await self._local.listen_on_path(path, _FOR_ALL)
        except OSError as error:
            self.report.event("NotListening", "Agent", f"{path}: {error.strerror}", warning=True)
        for place in dict.fromkeys((self._settings.metrics, self._settings.healthz)):
            address, _, port = place.rpartition(":")
            try:
                if place:
                    await self._observed.listen_on_address(address.strip("[]"), int(port))
            except (OSError, OverflowError, ValueError) as error:
                message = error.strerror if isinstance(error, OSError) else None
                message = message or f"{place} is not ADDRESS:PORT"
                self.report.event("NotListening", "Agent", message, warning=True)

    def _reload(self) -> None:
        """Check everything again: the source, and the actual objects of every dataplane."""
        self._following.forget()
        self._keeping.force_resync()

    async def _first_look(self) -> None:
        """Wait until the source was polled once."""
        looked = asyncio.Event()
        self.report.listen(lambda status: looked.set() if status.source_checked else None)
        await looked.wait()

    def _ready(self) -> None:
        notify("READY=1", f"STATUS={self.report.status.summary}")

    async def _sign_of_life(self) -> None:
        while True:
            notify("WATCHDOG=1")
            await asyncio.sleep(watchdog_interval())

    async def _start_from_store(self) -> bool:
        """Apply the last good site, before and without polling the source."""
        try:
            await self._controller.take(load_site(self._settings.state_directory))
        except StateError as error:
            log.info("no last good site: %s", error)
        except GroundplaneError as error:
            log.error("the last good site: %s", error)
        except Exception:
            log.exception("the last good site")
        return bool(self.report.status.revision)


async def _for_ever(part: Callable[[], Awaitable[None]]) -> None:
    """Run *part*, and restart it after an unexpected error."""
    while True:
        try:
            await part()
            return
        except Exception:
            log.exception("a task of the agent failed; restarting it")
        await asyncio.sleep(_AGAIN_S)
