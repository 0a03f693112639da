"""The site and the health in use, and the workers that apply them.

One thread computes states, and each worker has its own thread: the event loop stays free for
probes, the watchdog and requests.
"""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from groundplane.agent.apply_worker import ApplyWorker, Planes
from groundplane.agent.changes import Told, emptied_events, endpoint_events, service_events
from groundplane.agent.endpoint_counts import EndpointCounts
from groundplane.agent.health_checks import HealthChecks, checks_of
from groundplane.agent.memory import settle
from groundplane.agent.proxy_health import proxy_health
from groundplane.agent.report import Report
from groundplane.agent.status import bounded_texts
from groundplane.agent.timings import TIMINGS, Timings
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
from groundplane.site.blocks import Key
from groundplane.site.change_limits import held_back
from groundplane.site.snapshot import Snapshot, advance, decode, revision_of

log = logging.getLogger(__name__)

T = TypeVar("T")


class Controller:
    """Computes a state for each site and each health, and has all workers apply it, one at a time."""

    def __init__(
        self, node: str, workers: Sequence[Planes], report: Report, timings: Timings = TIMINGS
    ) -> None:
        self._node, self._report, self._timings = node, report, timings
        self._workers = [ApplyWorker(planes, report, timings) for planes in workers]
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
        self._applying: set[asyncio.Task[None]] = set()
        self._looking: dict[ApplyWorker, asyncio.Task[None]] = {}

    def close(self) -> None:
        self._checks.close()

    def _is_proxy_healthy(self) -> bool:
        planes, now = self._report.status.planes, time.time()
        return proxy_health(planes, now, self._timings.unhealthy_after).healthy

    def _services_in_use(self) -> Iterable[VirtualService]:
        return self.state.services.values() if self.state is not None else ()

    def _exposition(self) -> bytes:
        return self._counts.exposition(self.snapshot, self.failing) if self.snapshot else b""

    def judge_by(self, failing_in: Callable[[Snapshot | None, Snapshot], Failing]) -> None:
        """Ask *failing_in*, before each site is applied, which of its workloads fail."""
        self._failing_in = failing_in

    def _as_before(self, _old: Snapshot | None, _new: Snapshot) -> Failing:
        return self.failing

    def concerned(self, workloads: Collection[Key]) -> set[Key]:
        """Return the services that any of *workloads* may answer for."""
        return self._index.concerned(workloads) if self._index is not None else set()

    async def take(self, encoded: bytes) -> None:
        """Apply the site *encoded* to every dataplane.

        GroundplaneError if it is not a site, or lacks this node: then nothing has changed. The
        status shows changes that a dataplane refuses.
        """
        seen = time.time()
        # A site is large and long-lived: the garbage collector need not scan it repeatedly.
        gc.disable()
        try:
            async with self._turn:
                before = self.state
                snapshot, keys = await self._compute(self._read, encoded)
                failing = self._failing_in(self.snapshot, snapshot)
                state, extent = await self._compute(self._project, snapshot, keys, failing)
                # In one step of the event loop with telling the workers: who tries again meanwhile
                # with this state would keep them from looking at what is new in it.
                self.snapshot, self.state, self.failing = snapshot, state, failing
                self._report.places = snapshot.places
                self._counts.changed(extent)
            self._report.base = state.base
            concerned = len(extent.service_keys(state.services))
            self._report.metrics.seen(seen, services=concerned)
            await self._apply(state, extent, self._timings.site_patience)
            self._report.metrics.made(time.time() - seen)
            async with self._turn:
                if self._index is None:  # nothing depends on it yet
                    self._index = await self._compute(WorkloadIndex, self.snapshot)
        finally:
            gc.enable()
            await self._compute(settle)
        revision = revision_of(encoded)
        if revision != self._report.status.revision:
            self._report.tell(
                revision=revision,
                generation=self._report.status.generation + 1,
                applied=time.time(),
                services=snapshot.service_count,
            )
            if before is not None:
                await self._tell(service_events(before, state, extent))
                await self._tell(emptied_events(before, state, extent))

    async def judge(self, failing: Failing, why: Callable[[Key], str]) -> None:
        """Set exactly the workloads *failing* as failing; *why* returns the reason of one."""
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
        await self._apply(state, extent, self._timings.health_patience)
        self._report.metrics.made(time.time() - seen)
        assert index is not None  # noqa: S101
        await self._tell(endpoint_events(differing, failing, index.concerned, why))
        await self._tell(emptied_events(before, state, extent))

    async def _tell(self, events: Iterable[Told]) -> None:
        told = list(events)
        if not told:
            return
        places = await self._compute(self._report.places, {each.about for each in told})
        for reason, about, message, warning in told:
            place = places.get(about, "")
            self._report.event(reason, about, message, warning=warning, place=place)

    async def resync(self, names: Collection[str], *, forced: bool = False) -> None:
        """Repair those of *names* that others changed.

        With *forced*, each of them is read even if nothing seems to have changed. A hanging worker
        does not delay another's repair; it is resynced when it continues.
        """
        if self.state is None:
            return
        for worker in self._workers:
            worker.ask(names, forced=forced)
            if worker not in self._looking:
                self._looking[worker] = asyncio.create_task(self._resync(worker))
        await asyncio.wait(tuple(self._looking.values()), timeout=self._timings.health_patience)
        await self._serve_health_checks(Repair())

    async def _resync(self, worker: ApplyWorker) -> None:
        try:
            if await worker.resync() and self.state is not None:
                await worker.apply(self.state, Repair())
        except Exception:
            log.exception("a worker was not resynced")
        finally:
            del self._looking[worker]

    async def retry(self) -> None:
        """Apply the state in use again where it was refused or must be read again."""
        if self.state is not None:
            await self._apply(self.state, Repair(), self._timings.site_patience)

    async def listen(self) -> AsyncIterator[Mapping[int, str]]:
        """Let the dataplanes listen for changes; yield their descriptors, with the plane's name.

        Each worker's come as soon as it listens: it may be loading, or hang.
        """
        for listening in asyncio.as_completed([worker.listen() for worker in self._workers]):
            yield await listening

    def next_repair(self) -> float | None:
        """Return in how many seconds a postponed repair is due; None if there is none."""
        now = time.monotonic()
        due = [found for worker in self._workers if (found := worker.next_repair(now)) is not None]
        return min(due, default=None)

    async def _compute(self, function: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, function, *arguments)

    def _read(self, encoded: bytes) -> tuple[Snapshot, set[Key] | None]:
        """Return the snapshot *encoded*, and the services that differ in it, None for all."""
        if self.snapshot is None:
            snapshot = decode(encoded)
            base = project_base(snapshot.site(self._node), self._node)
            for worker in self._workers:
                worker.prepare(base)
            return snapshot, None
        snapshot, keys = advance(self.snapshot, encoded)
        if why := held_back(self.snapshot, snapshot, keys):
            raise ChangeHeld(why)
        place_of(snapshot.head, self._node)  # refuses a site without this node
        return snapshot, keys

    def _project(
        self, snapshot: Snapshot, keys: set[Key] | None, failing: Failing
    ) -> tuple[NodeState, Extent]:
        """Return the state of *snapshot*, and which services may differ."""
        if self.state is None or self.snapshot is None or keys is None:
            base = project_base(snapshot.site(self._node), self._node)
            return project_services(snapshot, base, failing), All()
        index, self._index = self._index, None  # rebuilt if anything fails here
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

    async def _apply(self, state: NodeState, extent: Extent, patience: float) -> None:
        """Have all workers apply *state*; one slower than *patience* s continues on its own."""
        tasks = [asyncio.create_task(worker.apply(state, extent)) for worker in self._workers]
        self._applying.update(tasks)
        for task in tasks:
            task.add_done_callback(self._applying.discard)
        await asyncio.wait(tasks, timeout=patience)
        await self._serve_health_checks(extent)

    async def _serve_health_checks(self, extent: Extent) -> None:
        """Update the health check node ports of the services in *extent*."""
        assert self.state is not None  # noqa: S101
        before = self._report.status.health_check_errors
        keys = extent.service_keys(self.state.services)
        if before or isinstance(extent, All) or self._checks.concerned(self.state, keys):
            found = await self._checks.serve(self.state.base.addresses, checks_of(self.state))
            faults = bounded_texts(tuple(found))
            if faults != before:
                for fault in faults:
                    log.error("%s", fault)
                self._report.tell(health_check_errors=faults)
