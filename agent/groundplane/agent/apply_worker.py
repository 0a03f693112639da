"""Applies states to several dataplanes, one after the other, in one thread.

A worker that is slow, or waits for a daemon that hangs, does not hold up any other. Changes that arrive
while it is busy are coalesced: only the newest state is applied.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from groundplane.agent.repair_backoff import RepairBackoff
from groundplane.agent.report import Report
from groundplane.agent.status import PlaneStatus
from groundplane.agent.timings import TIMINGS, Timings
from groundplane.dataplanes import Dataplane, Drift, Notified
from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.errors import GroundplaneError, ObjectsRefused, bounded
from groundplane.project import NodeState
from groundplane.project.extent import All, Extent, Repair, both
from groundplane.project.state import NodeBase

log = logging.getLogger(__name__)

T = TypeVar("T")
_SHOWN: Final = 5  # objects of a repair that are named

Planes = Sequence[Dataplane[Any, Any]]


class _Pending(NamedTuple):
    state: NodeState
    extent: Extent


class ApplyWorker:
    """The thread that applies states to *planes*, in their order."""

    def __init__(self, planes: Planes, report: Report, timings: Timings = TIMINGS) -> None:
        self._report, self._busy_after = report, timings.busy_after
        self._reconcilers = [Reconciler(plane) for plane in planes]
        self._backoffs = {plane.name: RepairBackoff(timings) for plane in planes}
        self._contested: set[str] = set()
        self._suspected: dict[str, str] = {}  # planes that others may have changed, and who
        self._asked: set[str] = set()  # planes to be checked
        self._asked_forced: set[str] = set()  # of these, to be read in any case
        self._at = ("", 0.0)  # the plane that the thread works on, and since when
        self._pending: _Pending | None = None
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, f"worker of {planes[0].name}")

    @property
    def planes(self) -> Iterable[Dataplane[Any, Any]]:
        return (reconciler.plane for reconciler in self._reconcilers)

    def prepare(self, base: NodeBase) -> None:
        """Start the dataplanes' preparation, without waiting for it, while a state is being computed."""
        self._thread.submit(self._prepare, base)

    def _prepare(self, base: NodeBase) -> None:
        for reconciler in self._reconcilers:
            with (
                self._busy_with(reconciler),
                contextlib.suppress(GroundplaneError, OSError),  # applying the state reports it
            ):
                reconciler.prepare(base)

    async def apply(self, state: NodeState, extent: Extent) -> None:
        """Apply *state*, which differs by *extent* from the one before, to every dataplane."""
        if self._pending is not None:
            extent = both(self._pending.extent, extent)
        self._pending = _Pending(state, extent)
        async with self._turn:
            pending = self._take()
            if pending is None:
                return  # an earlier caller applied it
            self._tell(await self._run(self._apply, *pending))

    def _take(self) -> _Pending | None:
        pending, self._pending = self._pending, None
        return pending

    async def listen(self) -> Mapping[int, str]:
        """Let the dataplanes listen for changes; return their descriptors with the plane's name."""
        return await self._run(self._listen)

    def ask(self, names: Collection[str], *, forced: bool) -> None:
        """Let the next `resync` include the planes *names*; for *forced*, see there."""
        own = {plane.name for plane in self.planes}.intersection(names)
        self._asked |= own
        if forced:
            self._asked_forced |= own

    async def resync(self) -> bool:
        """Mark requested planes that others may have changed for reading; return if there are any.

        Planes requested with *forced* are read even if nothing seems to have changed.
        """
        asked, self._asked = self._asked, set()
        forced, self._asked_forced = self._asked_forced, set()
        return await self._run(self._resync, asked, forced)

    def next_repair(self, now: float) -> float | None:
        """Return in how many seconds from *now* a postponed repair is due; None if there is none.

        Then it is made, or the status reports that the changes have stopped.
        """
        known = self._backoffs.items()
        waiting = [each.until for name, each in known if each.pending or name in self._contested]
        return max(0.0, min(waiting) - now) if waiting else None

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        """Run *function* in the worker's thread; the status shows it while it takes long."""
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._thread, function, *arguments)
        try:
            while not (await asyncio.wait([running], timeout=self._busy_after))[0]:
                self._tell_busy(*self._at)
            return await running
        finally:
            running.cancel()
            self._tell_busy("", 0.0)

    def _tell_busy(self, name: str, since: float) -> None:
        """Report that only the plane *name* has been busy since *since*, if that is long."""
        long = since < time.time() - self._busy_after
        own = {plane.name for plane in self.planes}
        busy = {name: since} if long else {}
        self._tell(
            {
                plane.name: msgspec.structs.replace(plane, busy_since=busy.get(plane.name, 0.0))
                for plane in self._report.status.planes
                if plane.name in own and plane.busy_since != busy.get(plane.name, 0.0)
            }
        )

    def _tell(self, changed: dict[str, PlaneStatus]) -> None:
        if changed:
            known = {plane.name: plane for plane in self._report.status.planes} | changed
            self._report.tell(planes=tuple(known.values()))

    @contextlib.contextmanager
    def _busy_with(self, reconciler: Reconciler[Any, Any]) -> Iterator[None]:
        self._at = (reconciler.plane.name, time.time())
        try:
            yield
        finally:
            self._at = ("", 0.0)

    def _listen(self) -> dict[int, str]:
        found = {}
        for plane in self.planes:
            if not isinstance(plane, Notified):
                continue
            try:
                found[plane.listen()] = plane.name
            except OSError as error:
                log.warning("%s: nobody reports changes: %s", plane.name, error)
        return found

    def _resync(self, names: Collection[str], forced: Collection[str]) -> bool:
        found, now = False, time.monotonic()
        for number, reconciler in enumerate(self._reconcilers):
            name = reconciler.plane.name
            backoff = self._backoffs[name]
            drift = self._drift_of(reconciler) if name in names else None
            if drift is None and name in forced:
                drift = Drift()
            if drift is not None:
                backoff.pending = True
                self._suspected[name] = drift.changed_by
                # Its prerequisites in earlier planes may be gone, too.
                for each in self._reconcilers[:number]:
                    found |= self._drift_of(each) is not None
            if backoff.waits(now):
                continue
            if backoff.pending:
                reconciler.forget()
                found = True
            if name in self._contested:  # no more
                self._contested.discard(name)
                found = True
        return found

    def _drift_of(self, reconciler: Reconciler[Any, Any]) -> Drift | None:
        """Let a dataplane do due work; return its drift. If that is unknown, it has drifted."""
        try:
            with self._busy_with(reconciler):
                reconciler.collect()
                return reconciler.drift()
        except (GroundplaneError, OSError) as error:
            log.warning("%s: %s", reconciler.plane.name, error)
            return Drift()

    def _apply(self, state: NodeState, extent: Extent) -> dict[str, PlaneStatus]:
        known = {plane.name: plane for plane in self._report.status.planes}
        found = {}
        for reconciler in self._reconcilers:
            name = reconciler.plane.name
            before = msgspec.structs.replace(known[name], busy_since=0.0)
            found[name] = self._apply_one(reconciler, state, before, extent)
        return found

    def _apply_one(
        self,
        reconciler: Reconciler[Any, Any],
        state: NodeState,
        before: PlaneStatus,
        extent: Extent,
    ) -> PlaneStatus:
        """Apply *state* to one dataplane; return its new status; *before* is the old one."""
        name, backoff = reconciler.plane.name, self._backoffs[reconciler.plane.name]
        started = time.monotonic()
        if isinstance(extent, Repair) and backoff.pending and backoff.waits(started):
            return before  # its repair is not due; a change of the site would not wait
        changed_by = self._suspected.pop(name, None)
        try:
            with self._busy_with(reconciler):
                # What others changed is reported apart from what the new state changes.
                repaired = reconciler.repair() if changed_by is not None else Delta[Any, Any]()
                delta = reconciler.apply(state, extent)
        except (GroundplaneError, OSError) as error:
            why = bounded(self._located(error))
            if why != before.error:
                self._report.event("Refused", name, why, warning=True)
            self._report.metrics.refused(name)
            self._postpone(name, changed_by)
            return _behind(before, why)
        except Exception as error:
            log.exception("%s", name)
            reconciler.forget()
            self._postpone(name, changed_by)
            return _behind(before, f"{type(error).__name__}: {error}")
        seconds, now = time.monotonic() - started, time.time()
        changed = len(repaired) + len(delta)
        self._report.metrics.applied(name, seconds, changed, now, whole=isinstance(extent, All))
        backoff.pending = False
        if before.error:
            self._report.event("Recovered", name, "is in sync again")
        if repaired:
            before = self._repaired(before, reconciler.plane, repaired, changed_by or "")
        if before.contested and name not in self._contested:
            before = msgspec.structs.replace(before, contested="")
        before = msgspec.structs.replace(before, synced=now)
        if not changed and not before.error and before.since:
            return before
        return msgspec.structs.replace(
            before, error="", changed=changed, since=now, seconds=seconds
        )

    def _located(self, error: Exception) -> str:
        """Return the text of *error*, with the places of refused objects."""
        if not isinstance(error, ObjectsRefused):
            return str(error)
        subjects = [each for each in error.reasons if isinstance(each, str)]
        return error.located(self._report.places(subjects))

    def _postpone(self, name: str, changed_by: str | None) -> None:
        """Postpone the refused change to the next try, after a pause; keep *changed_by*."""
        self._backoffs[name].pending = False
        if changed_by is not None:
            self._suspected[name] = changed_by

    def _repaired(
        self,
        before: PlaneStatus,
        plane: Dataplane[Any, Any],
        delta: Delta[Any, Any],
        changed_by: str,
    ) -> PlaneStatus:
        """Return the status of *plane* after *delta*, the repair of others' changes."""
        backoff, now = self._backoffs[plane.name], time.monotonic()
        backoff.repaired(now)
        self._report.metrics.repaired(plane.name)
        by = f" by {changed_by}" if changed_by else ""
        message = f"was changed{by}, and is repaired: {_differences(plane, delta)}"
        self._report.event("Repaired", plane.name, message, warning=True)
        contested = ""
        if backoff.waits(now):
            self._contested.add(plane.name)
            contested = f"changed again and again{by}"
            message = f"is {contested}; left alone for {backoff.until - now:.0f} s"
            self._report.event("Contested", plane.name, message, warning=True)
        return msgspec.structs.replace(
            before, repairs=before.repairs + 1, repaired=time.time(), contested=contested
        )


def _differences(plane: Dataplane[Any, Any], delta: Delta[Any, Any]) -> str:
    """Describe what others had changed, naming some of the objects."""
    altered = {key: new for key, (_, new) in delta.update.items()}
    parts = []
    for kind, objects in (
        ("missing", delta.create),
        ("altered", altered),
        ("foreign", delta.delete),
    ):
        if objects:
            named = [plane.text(*each) for each in islice(objects.items(), _SHOWN)]
            more = ", ..." if len(objects) > _SHOWN else ""
            parts.append(f"{len(objects)} {kind} ({', '.join(named)}{more})")
    return "; ".join(parts)


def _behind(before: PlaneStatus, error: str) -> PlaneStatus:
    since = before.since if before.error else time.time()
    return msgspec.structs.replace(before, error=error, since=since)
