"""The site and the health in use, and the dataplanes that are brought to them.

Computing runs in one thread and each lane of dataplanes in one: the event loop stays free for
probes, for the watchdog, and for whoever asks.
"""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from groundplane.agent.changes import Told, emptied_events, endpoint_events, service_events
from groundplane.agent.endpoint_counts import EndpointCounts
from groundplane.agent.health_checks import HealthChecks, checks_of
from groundplane.agent.lane import Lane, Planes
from groundplane.agent.proxy_health import proxy_health
from groundplane.agent.report import Report
from groundplane.agent.status import bounded_texts
from groundplane.errors import ChangeHeld
from groundplane.project import (
    NodeState,
    VirtualService,
    WorkloadIndex,
    project_base,
    project_change,
    project_services,
    update,
)
from groundplane.project.extent import All, Extent, Only, Repair
from groundplane.project.node import place_of
from groundplane.project.select_endpoints import Failing
from groundplane.site.change_limits import held_back
from groundplane.site.snapshot import Key, Snapshot, advance, decode, revision_of

log = logging.getLogger(__name__)

T = TypeVar("T")
# How long another site, and another health, wait for lanes that hang before they count as made.
_PATIENCE_S, _HASTE_S = 2.0, 0.1


class Convergence:
    """Brings all *lanes* to each site and each health, one change after the other."""

    def __init__(self, node: str, lanes: Sequence[Planes], report: Report) -> None:
        self._node, self._report = node, report
        self._lanes = [Lane(planes, report) for planes in lanes]
        self.snapshot: Snapshot | None = None
        self.state: NodeState | None = None
        self._index: WorkloadIndex | None = None  # of the snapshot
        self.failing: Failing = frozenset()  # in use
        self._failing_in: Callable[[Snapshot | None, Snapshot], Failing] = self._as_before
        self._checks = HealthChecks(self._is_proxy_healthy)
        self._counts = EndpointCounts()
        report.metrics.watch_local_policies(self._services_in_use)
        report.metrics.watch_endpoints(self._exposition)
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "computing")
        self._bringing: set[asyncio.Task[None]] = set()
        self._looking: dict[Lane, asyncio.Task[None]] = {}

    def close(self) -> None:
        self._checks.close()

    def _is_proxy_healthy(self) -> bool:
        return proxy_health(self._report.status.planes, time.time()).healthy

    def _services_in_use(self) -> Iterable[VirtualService]:
        return self.state.services.values() if self.state is not None else ()

    def _exposition(self) -> bytes:
        return self._counts.exposition(self.snapshot, self.failing) if self.snapshot else b""

    def judge_by(self, failing_in: Callable[[Snapshot | None, Snapshot], Failing]) -> None:
        """Ask *failing_in*, before each site is brought, which of its workloads fail."""
        self._failing_in = failing_in

    def _as_before(self, _old: Snapshot | None, _new: Snapshot) -> Failing:
        return self.failing

    def concerned(self, workloads: Collection[Key]) -> set[Key]:
        """Return the services that any of *workloads* may answer for."""
        return self._index.concerned(workloads) if self._index is not None else set()

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
                snapshot, keys = await self._compute(self._read, encoded)
                failing = self._failing_in(self.snapshot, snapshot)
                state, extent = await self._compute(self._project, snapshot, keys, failing)
                # In one step of the event loop with telling the lanes: who tries again meanwhile
                # with this state would keep them from looking at what is new in it.
                self.snapshot, self.state, self.failing = snapshot, state, failing
                self._counts.changed(extent)
            self._report.base = state.base
            concerned = len(extent.keys(state.services))
            self._report.metrics.seen(seen, services=concerned)
            await self._bring(state, extent, _PATIENCE_S)
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
                self._tell(service_events(before, state, extent))
                self._tell(emptied_events(before, state, extent))

    async def judge(self, failing: Failing, why: Callable[[Key], str]) -> None:
        """Let the workloads *failing*, and no others, fail their probes; *why* says it of one."""
        async with self._turn:
            differing = self.failing ^ failing
            if not differing or self.state is None:
                self.failing = failing
                return
            seen = time.time()
            self._report.metrics.seen(seen, workloads=len(differing))
            before = self.state
            state, extent = await self._compute(self._update, failing)
            index, self.state, self.failing = self._index, state, failing
            self._counts.changed(extent)
        await self._bring(state, extent, _HASTE_S)
        self._report.metrics.made(time.time() - seen)
        assert index is not None  # noqa: S101
        self._tell(endpoint_events(differing, failing, index.concerned, why))
        self._tell(emptied_events(before, state, extent))

    def _tell(self, events: Iterable[Told]) -> None:
        for event in events:
            self._report.event(event.reason, event.about, event.message, warning=event.warning)

    async def look(self, names: Collection[str], *, distrusting: bool = False) -> None:
        """Repair those of *names* that others changed.

        With *distrusting* each of them is read, whether something seems to have changed or not.
        A lane that hangs keeps no other from being repaired, and is looked at when it goes on.
        """
        if self.state is None:
            return
        for lane in self._lanes:
            lane.ask(names, distrusting=distrusting)
            if lane not in self._looking:
                self._looking[lane] = asyncio.create_task(self._look(lane))
        await asyncio.wait(tuple(self._looking.values()), timeout=_HASTE_S)
        await self._serve_health_checks(Repair())

    async def _look(self, lane: Lane) -> None:
        try:
            if await lane.look() and self.state is not None:
                await lane.bring(self.state, Repair())
        except Exception:
            log.exception("a lane is not looked at")
        finally:
            del self._looking[lane]

    async def retry(self) -> None:
        """Bring what was refused, or has to be read again, to the state in use."""
        if self.state is not None:
            await self._bring(self.state, Repair(), _PATIENCE_S)

    async def listen(self) -> AsyncIterator[Mapping[int, str]]:
        """Let the dataplanes hear of changes; yield their descriptors, with the plane's name.

        Each lane's come as soon as it can hear: it may be loading, or hang.
        """
        for listening in asyncio.as_completed([lane.listen() for lane in self._lanes]):
            yield await listening

    def next_repair(self) -> float | None:
        """Return in how many seconds a repair that has to wait is due; None when there is none."""
        now = time.monotonic()
        due = [found for lane in self._lanes if (found := lane.next_repair(now)) is not None]
        return min(due, default=None)

    async def _compute(self, function: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, function, *arguments)

    def _read(self, encoded: bytes) -> tuple[Snapshot, set[Key] | None]:
        """Return the snapshot *encoded*, and the services that differ in it, None for all."""
        if self.snapshot is None:
            snapshot = decode(encoded)
            base = project_base(snapshot.site(self._node), self._node)
            for lane in self._lanes:
                lane.prepare(base)
            return snapshot, None
        snapshot, keys = advance(self.snapshot, encoded)
        if why := held_back(self.snapshot, snapshot, keys):
            raise ChangeHeld(why)
        place_of(snapshot.head, self._node)  # a site without this node is none
        return snapshot, keys

    def _project(
        self, snapshot: Snapshot, keys: set[Key] | None, failing: Failing
    ) -> tuple[NodeState, Extent]:
        """Return the state of *snapshot*, and which services may differ."""
        if self.state is None or self.snapshot is None or keys is None:
            base = project_base(snapshot.site(self._node), self._node)
            return project_services(snapshot, base, failing), All()
        index, self._index = self._index, None  # made anew, should anything fail here
        if index is not None:
            index.change(self.snapshot, snapshot, keys)
            keys |= index.concerned(self.failing ^ failing)
        projected = project_change(self.state, self.snapshot, snapshot, keys, failing)
        self._index = index
        return projected

    def _update(self, failing: Failing) -> tuple[NodeState, Extent]:
        assert self.snapshot is not None  # noqa: S101
        assert self.state is not None  # noqa: S101
        self._index = self._index or WorkloadIndex(self.snapshot)
        keys = self._index.concerned(self.failing ^ failing)
        return update(self.state, self.snapshot, keys, failing), Only(keys)

    async def _bring(self, state: NodeState, extent: Extent, patience: float) -> None:
        """Bring all lanes to *state*; one that takes longer than *patience* s goes on by itself."""
        tasks = [asyncio.create_task(lane.bring(state, extent)) for lane in self._lanes]
        self._bringing.update(tasks)
        for task in tasks:
            task.add_done_callback(self._bringing.discard)
        await asyncio.wait(tasks, timeout=patience)
        await self._serve_health_checks(extent)

    async def _serve_health_checks(self, extent: Extent) -> None:
        """Let health check node ports report what the services come to that *extent* has."""
        assert self.state is not None  # noqa: S101
        before = self._report.status.health_check_errors
        keys = extent.keys(self.state.services)
        if before or isinstance(extent, All) or self._checks.concerned(self.state, keys):
            found = await self._checks.serve(self.state.base.addresses, checks_of(self.state))
            faults = bounded_texts(tuple(found))
            if faults != before:
                for fault in faults:
                    log.error("%s", fault)
                self._report.tell(health_check_errors=faults)


def _settle_memory() -> None:
    gc.collect()
    gc.freeze()
