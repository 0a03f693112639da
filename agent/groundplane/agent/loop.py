"""The one loop of the agent: source to site, site to state, state to every dataplane.

Fail static: a source that cannot be read or compiled changes nothing but the status; a dataplane
that refuses a change keeps what it has and is tried again; stopping leaves everything in place.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from watchfiles import awatch

from groundplane import __version__
from groundplane.agent.compiler import compile_in_child
from groundplane.agent.health_checks import HealthChecks, checks_of
from groundplane.agent.notify import notify, watchdog_interval
from groundplane.agent.status import PlaneStatus, Status, write_status
from groundplane.agent.store import load_site, save_site
from groundplane.choose import Failing
from groundplane.dataplanes import Dataplane
from groundplane.errors import GroundplaneError, StateError
from groundplane.load import Stamp, read_health, stamp_of
from groundplane.project import (
    NodeState,
    WorkloadIndex,
    project_base,
    project_change,
    project_services,
    update,
)
from groundplane.project.state import NodeBase
from groundplane.reconcile import Reconciler
from groundplane.snapshot import Key, Snapshot, advance, decode, revision_of

log = logging.getLogger(__name__)

_RETRY_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
# How often to look for what no event tells: changes of a network file system, and others' changes
# of what is ours in the kernel and in the zones.
_RECHECK_S: Final = 10.0


@dataclass(frozen=True)
class Settings:
    """What the agent's unit tells it."""

    node: str
    source: Path
    health: Path  # a file that need not be there, see load.health
    state_directory: Path
    runtime_directory: Path


class Agent:
    """The agent on one node. *planes* are brought to each state in their order."""

    def __init__(self, settings: Settings, planes: Sequence[Dataplane[Any, Any]]) -> None:
        self._settings = settings
        self._reconcilers = [Reconciler(plane) for plane in planes]
        self._snapshot: Snapshot | None = None
        self._index: WorkloadIndex | None = None  # of the snapshot
        self._state: NodeState | None = None
        self._failing: Failing = frozenset()
        self._stamp: Stamp = ()  # of the source that the revision in use was compiled from
        self._failures = 0
        self._saved = ""  # the revision that the state directory is known to hold
        self._changed = asyncio.Event()
        self._compiling: asyncio.Task[bytes] | None = None
        self._distrusted = False  # whether dataplanes may hold something else than is remembered
        self._stopping = False
        self._checks = HealthChecks()
        self._worker = ThreadPoolExecutor(1, "dataplanes")
        self.status = Status(
            node=settings.node,
            version=__version__,
            pid=os.getpid(),
            started=time.time(),
            source=str(settings.source),
            planes=tuple(PlaneStatus(plane.name) for plane in planes),
        )

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._sign_of_life())]
        await self._look_at_health()
        await self._start_from_store()
        await self._look_at_source()
        notify("READY=1", f"STATUS={self._summary()}")
        while not self._stopping:
            await self._wait()
            if not self._stopping:
                await self._look_at_health()
                await self._look_at_source()
                notify(f"STATUS={self._summary()}")
        notify("STOPPING=1")
        self._checks.close()
        for task in tasks:
            task.cancel()

    def _stop(self) -> None:
        self._stopping = True
        self._changed.set()
        if self._compiling is not None:
            self._compiling.cancel()

    def _reload(self) -> None:
        """Look at everything again: the source, and what is really there in every dataplane."""
        self._stamp = ()
        self._distrusted = True
        self._changed.set()

    async def _wait(self) -> None:
        """Wait for a change of the source, or until it is time to try again."""
        retry = _RETRY_S[min(self._failures, len(_RETRY_S)) - 1] if self._failures else _RECHECK_S
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), retry)
        self._changed.clear()

    async def _watch(self) -> None:
        """Set the event at each change below the source, which may come and go as a whole."""
        parent = self._settings.source.parent
        while True:
            try:
                async for changes in awatch(parent, debounce=100, step=20, watch_filter=None):
                    if {path for _, path in changes} != {str(self._settings.health)}:
                        self._stamp = ()
                    self._changed.set()
            except (OSError, RuntimeError) as error:
                log.warning("cannot watch %s: %s", parent, error)
            except Exception:
                log.exception("cannot watch %s", parent)
            await asyncio.sleep(_RETRY_S[2])

    async def _sign_of_life(self) -> None:
        while True:
            notify("WATCHDOG=1")
            await asyncio.sleep(watchdog_interval())

    async def _start_from_store(self) -> None:
        """Apply the last good site, before and without looking at the source."""
        directory = self._settings.state_directory
        try:
            await self._apply(load_site(directory))
        except StateError as error:
            log.info("no last good site: %s", error)
        except GroundplaneError as error:
            log.error("the last good site: %s", error)
        except Exception:
            log.exception("the last good site")

    async def _look_at_health(self) -> None:
        """Bring what has changed of the health file; one that cannot be read changes nothing."""
        error, failing = "", self._failing
        try:
            file = self._settings.health
            failing = read_health(file) if file.exists() else frozenset()
        except (GroundplaneError, OSError) as problem:
            error = str(problem)
            if error != self.status.health_error:
                log.error("the health file is not used: %s", error)
        if failing != self._failing and self._state is not None and self._snapshot is not None:
            self._index = self._index or WorkloadIndex(self._snapshot)
            among = self._index.concerned(self._failing ^ failing)
            self._state = update(self._state, self._snapshot, among, failing)
            await self._bring(among)
        self._failing = failing
        self._tell(health_error=error, failing=len(failing))

    async def _look_at_source(self) -> None:
        """Compile the source where it has changed, and apply it where it comes to something new.

        Dataplanes that are behind are brought again, whatever the source is.
        """
        before, stamp = self.status.revision, stamp_of(self._settings.source)
        if not stamp or stamp != self._stamp or self.status.store_error:
            error = await self._compile()
            self._stamp = () if error else stamp
            self._tell(source_error=error)
        if self.status.revision == before and self._state is not None and await self._is_behind():
            await self._bring()
        elif self._state is not None and self.status.health_check_errors:
            await self._serve_health_checks(self.status.planes, ())
        self._tell(source_checked=time.time())
        behind = any(plane.error for plane in self.status.planes)
        self._failures = self._failures + 1 if behind else 0

    async def _is_behind(self) -> bool:
        """Return whether a dataplane failed, or may hold something else than is remembered."""
        distrusted, self._distrusted = self._distrusted, False
        if distrusted:
            for reconciler in self._reconcilers:
                reconciler.forget()
        failed = any(plane.error for plane in self.status.planes)
        loop = asyncio.get_running_loop()
        return (
            await loop.run_in_executor(self._worker, self._look_for_drift) or distrusted or failed
        )

    def _look_for_drift(self) -> bool:
        """Let every dataplane that others may have changed be read again."""
        found = False
        for reconciler in self._reconcilers:
            try:
                found |= reconciler.distrust()
            except OSError as error:
                log.warning("%s: %s", reconciler.plane.name, error)
                reconciler.forget()
                found = True
        return found

    async def _compile(self) -> str:
        """Compile the source and apply it; return why it is not used, or ""."""
        try:
            self._compiling = asyncio.create_task(compile_in_child(self._settings.source))
            encoded, before = await self._compiling, self.status.revision
            await self._apply(encoded)
            if self.status.revision != before:
                log.info("revision %s in use", self.status.revision)
            self._save(encoded)
        except (GroundplaneError, OSError) as problem:
            error = str(problem)
            if error != self.status.source_error:
                log.error("the source is not used: %s", error)
            return error
        except asyncio.CancelledError:
            return self.status.source_error  # told to stop: nothing new is known of the source
        except Exception as problem:
            log.exception("the source is not used")
            return f"{type(problem).__name__}: {problem}"
        return ""

    def _save(self, encoded: bytes) -> None:
        """Keep *encoded*, the site in use, for the next start; tried again until it succeeds."""
        if self._saved == self.status.revision:
            return
        try:
            save_site(self._settings.state_directory, encoded)
            self._saved, error = self.status.revision, ""
        except OSError as problem:
            error = f"{problem.filename}: {problem.strerror}"
            log.error("revision %s cannot be kept: %s", self.status.revision, error)
        self._tell(store_error=error)

    async def _apply(self, encoded: bytes) -> None:
        """Bring every dataplane to the site *encoded*; its own fault or a wrong node changes nothing."""
        # A site is large and long-lived: the collector need not look at it again and again.
        gc.disable()
        try:
            await self._bring(self._take(encoded))
            if self._index is None and self._snapshot is not None:  # nothing waits for it
                self._index = WorkloadIndex(self._snapshot)
        finally:
            gc.enable()
            gc.collect()
            gc.freeze()
        assert self._snapshot is not None  # noqa: S101
        revision, services = revision_of(encoded), len(self._snapshot)
        if revision != self.status.revision:
            self._tell(revision=revision, applied=time.time(), services=services)

    def _take(self, encoded: bytes) -> Collection[Key] | None:
        """Make *encoded* the snapshot in use; return the services that differ, None for all."""
        if self._state is None or self._snapshot is None:
            snapshot, among = decode(encoded), None
            node = self._settings.node
            base = project_base(snapshot.site(node), node)
            self._worker.submit(self._prepare_all, base)
            state = project_services(snapshot, base, self._failing)
        else:
            snapshot, keys = advance(self._snapshot, encoded)
            state, among = project_change(
                self._state, self._snapshot, snapshot, keys, self._failing
            )
            if self._index is not None:
                self._index.change(self._snapshot, snapshot, keys)
        self._snapshot, self._state = snapshot, state
        return among

    async def _bring(self, among: Collection[Key] | None = None) -> None:
        """Bring every dataplane to the state, in the one thread that dataplanes are used in."""
        loop = asyncio.get_running_loop()
        planes = await loop.run_in_executor(self._worker, self._bring_all, among)
        await self._serve_health_checks(planes, among)
        self._tell(planes=planes)

    async def _serve_health_checks(
        self, planes: Sequence[PlaneStatus], among: Collection[Key] | None
    ) -> None:
        """Let health check node ports report what the services *among*, None for all, come to."""
        assert self._state is not None  # noqa: S101
        self._checks.report(healthy=not any(plane.error for plane in planes))
        concerned = among is None or self._checks.concerned(self._state, among)
        if concerned or self.status.health_check_errors:
            ports = checks_of(self._state)
            faults = await self._checks.serve(self._state.base.addresses, ports)
            if faults != list(self.status.health_check_errors):
                for fault in faults:
                    log.error("%s", fault)
                self._tell(health_check_errors=tuple(faults))

    def _prepare_all(self, base: NodeBase) -> None:
        """Let the dataplanes begin while services are still being projected."""
        for reconciler in self._reconcilers:
            with contextlib.suppress(GroundplaneError, OSError):  # bringing the state will tell
                reconciler.prepare(base)

    def _bring_all(self, among: Collection[Key] | None) -> tuple[PlaneStatus, ...]:
        assert self._state is not None  # noqa: S101
        statuses = []
        for reconciler, before in zip(self._reconcilers, self.status.planes, strict=True):
            name = reconciler.plane.name
            try:
                changed = reconciler.bring(self._state, among)
                rests = not changed and not before.error and before.since
                statuses.append(
                    before if rests else PlaneStatus(name, changed=changed, since=time.time())
                )
                if changed:
                    log.info("%s: %d changed", name, changed)
            except (GroundplaneError, OSError) as error:
                if str(error) != before.error:
                    log.error("%s: %s", name, error)
                statuses.append(_behind(before, str(error)))
            except Exception as error:
                log.exception("%s", name)
                reconciler.forget()
                statuses.append(_behind(before, f"{type(error).__name__}: {error}"))
        return tuple(statuses)

    def _tell(self, **changes: Any) -> None:
        self.status = msgspec.structs.replace(self.status, **changes)
        try:
            write_status(self._settings.runtime_directory, self.status)
        except OSError as error:
            log.error("the status cannot be written: %s", error)

    def _summary(self) -> str:
        behind = [plane.name for plane in self.status.planes if plane.error]
        parts = [f"revision {self.status.revision or 'none'}, {self.status.services} services"]
        if behind:
            parts.append(f"behind: {', '.join(behind)}")
        if self.status.source_error:
            parts.append("the source has errors")
        return "; ".join(parts)


def _behind(before: PlaneStatus, error: str) -> PlaneStatus:
    return PlaneStatus(
        before.name, error=error, since=before.since if before.error else time.time()
    )
