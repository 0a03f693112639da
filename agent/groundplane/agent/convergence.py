"""The site and the health in use, and the dataplanes that are brought to them.

Computing runs in one thread and each lane of dataplanes in one: the event loop stays free for
probes, for the watchdog, and for whoever asks.
"""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from groundplane.agent.changes import endpoint_events, service_events
from groundplane.agent.health_checks import HealthChecks, checks_of
from groundplane.agent.lane import Lane, Planes
from groundplane.agent.report import Report
from groundplane.choose import Failing
from groundplane.errors import ChangeHeld
from groundplane.limits import held_back
from groundplane.project import (
    NodeState,
    WorkloadIndex,
    project_base,
    project_change,
    project_services,
    update,
)
from groundplane.snapshot import Key, Snapshot, advance, decode, revision_of

log = logging.getLogger(__name__)

T = TypeVar("T")
_PATIENCE_S: Final = 2.0  # how long a change waits for lanes that hang, before it counts as made


class Convergence:
    """Brings all *lanes* to each site and each health, one change after the other."""

    def __init__(self, node: str, lanes: Sequence[Planes], report: Report) -> None:
        self._node, self._report = node, report
        self._lanes = [Lane(planes, report) for planes in lanes]
        self.snapshot: Snapshot | None = None
        self.state: NodeState | None = None
        self._index: WorkloadIndex | None = None  # of the snapshot
        self._failing: Failing = frozenset()
        self._checks = HealthChecks()
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "computing")
        self._bringing: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        self._checks.close()

    async def take(self, encoded: bytes) -> None:
        """Bring every dataplane to the site *encoded*.

        GroundplaneError when it is none, or has not this node: then nothing has changed. What a
        dataplane refuses is in the status.
        """
        seen = time.time()
        # A site is large and long-lived: the collector need not look at it again and again.
        gc.disable()
        try:
            async with self._turn:
                before = self.state
                among = await self._compute(self._advance, encoded)
                snapshot, state = self.snapshot, self.state
            assert snapshot is not None  # noqa: S101
            assert state is not None  # noqa: S101
            self._report.families = state.base.families
            concerned = len(state.services if among is None else among)
            self._report.metrics.seen(seen, services=concerned)
            await self._bring(state, among)
            self._report.metrics.made(time.time() - seen)
            async with self._turn:
                if self._index is None:  # nothing waits for it
                    self._index = await self._compute(WorkloadIndex, self.snapshot)
        finally:
            gc.enable()
            await self._compute(_settle_memory)
        revision = revision_of(encoded)
        if revision != self._report.status.revision:
            self._report.tell(
                revision=revision,
                generation=self._report.status.generation + 1,
                applied=time.time(),
                services=len(snapshot),
            )
            if before is not None:
                for event in service_events(before, state, among):
                    self._report.event(*event)

    async def judge(self, failing: Failing, why: Callable[[Key], str]) -> None:
        """Let the workloads *failing*, and no others, fail their probes; *why* says it of one."""
        async with self._turn:
            differing = self._failing ^ failing
            if not differing or self.state is None:
                self._failing = failing
                return
            seen = time.time()
            self._report.metrics.seen(seen, workloads=len(differing))
            among = await self._compute(self._update, failing)
            index, state = self._index, self.state
        await self._bring(state, among)
        self._report.metrics.made(time.time() - seen)
        assert index is not None  # noqa: S101
        for event in endpoint_events(differing, failing, index.concerned, why):
            self._report.event(*event)

    async def look(self, names: Collection[str], *, distrusting: bool = False) -> None:
        """Repair those of *names* that others changed.

        With *distrusting* each of them is read, whether something seems to have changed or not.
        """
        if self.state is None:
            return
        found = [await lane.look(names, distrusting=distrusting) for lane in self._lanes]
        if any(found):
            await self.retry()

    async def retry(self) -> None:
        """Bring what was refused, or has to be read again, to the state in use."""
        if self.state is not None:
            await self._bring(self.state, ())

    async def listen(self) -> Mapping[int, str]:
        """Let the dataplanes hear of changes; return their descriptors, with the plane's name."""
        found: dict[int, str] = {}
        for lane in self._lanes:
            found |= await lane.listen()
        return found

    def next_repair(self) -> float | None:
        """Return in how many seconds a repair that has to wait is due; None when there is none."""
        now = time.monotonic()
        due = [found for lane in self._lanes if (found := lane.next_repair(now)) is not None]
        return min(due, default=None)

    async def _compute(self, function: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, function, *arguments)

    def _advance(self, encoded: bytes) -> Collection[Key] | None:
        """Make *encoded* the snapshot in use; return the services that differ, None for all."""
        if self.state is None or self.snapshot is None:
            snapshot, among = decode(encoded), None
            base = project_base(snapshot.site(self._node), self._node)
            for lane in self._lanes:
                lane.prepare(base)
            state = project_services(snapshot, base, self._failing)
        else:
            snapshot, keys = advance(self.snapshot, encoded)
            if why := held_back(self.snapshot, snapshot, keys):
                raise ChangeHeld(why)
            state, among = project_change(self.state, self.snapshot, snapshot, keys, self._failing)
            if self._index is not None:
                self._index.change(self.snapshot, snapshot, keys)
        self.snapshot, self.state = snapshot, state
        return among

    def _update(self, failing: Failing) -> Collection[Key]:
        assert self.snapshot is not None  # noqa: S101
        assert self.state is not None  # noqa: S101
        self._index = self._index or WorkloadIndex(self.snapshot)
        among = self._index.concerned(self._failing ^ failing)
        self.state = update(self.state, self.snapshot, among, failing)
        self._failing = failing
        return among

    async def _bring(self, state: NodeState, among: Collection[Key] | None) -> None:
        """Bring all lanes to *state*; one that hangs is not waited for."""
        tasks = [asyncio.create_task(lane.bring(state, among)) for lane in self._lanes]
        self._bringing.update(tasks)
        for task in tasks:
            task.add_done_callback(self._bringing.discard)
        await asyncio.wait(tasks, timeout=_PATIENCE_S)
        await self._serve_health_checks(among)

    async def _serve_health_checks(self, among: Collection[Key] | None) -> None:
        """Let health check node ports report what the services *among*, None for all, come to."""
        assert self.state is not None  # noqa: S101
        status = self._report.status
        self._checks.report(healthy=not any(plane.error for plane in status.planes))
        concerned = among is None or self._checks.concerned(self.state, among)
        if concerned or status.health_check_errors:
            faults = await self._checks.serve(self.state.base.addresses, checks_of(self.state))
            if faults != list(status.health_check_errors):
                for fault in faults:
                    log.error("%s", fault)
                self._report.tell(health_check_errors=tuple(faults))


def _settle_memory() -> None:
    gc.collect()
    gc.freeze()
