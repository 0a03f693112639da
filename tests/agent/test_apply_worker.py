"""Lanes of dataplanes: each goes on by itself, and what comes meanwhile is brought together."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from groundplane.agent.apply_worker import ApplyWorker
from groundplane.agent.controller import Controller
from groundplane.agent.repair_backoff import AT_ONCE
from groundplane.agent.report import Report
from groundplane.agent.status import PlaneStatus, Status
from groundplane.agent.timings import Timings
from groundplane.compile.pipeline import compile_source
from groundplane.dataplanes import Drift
from groundplane.dataplanes.diff import Delta
from groundplane.errors import KernelRefused
from groundplane.project.extent import All, Extent, Only, Repair
from groundplane.project.state import NodeBase, NodeState, VirtualPort, VirtualService
from groundplane.site.encoding import encode
from tests.agent.fakes import FILES, Plane
from tests.catalogs import write
from tests.states import BASE
from tests.waiting import PATIENCE


class Hanging(Plane):
    """A dataplane that hangs, where it is written, until it is let go."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.entered, self.go = threading.Event(), threading.Event()
        self.looks = 0

    def write(self, base: NodeBase, delta: Delta[str, str]) -> None:
        self.entered.set()
        self.go.wait(20)
        super().write(base, delta)

    def drift(self, base: NodeBase) -> Drift | None:
        self.looks += 1
        return super().drift(base)


def service(name: str, ip: str) -> VirtualService:
    return VirtualService("default", name, (ip,), (VirtualPort("", "TCP", 80, 1),))


def states(count: int) -> Iterator[tuple[NodeState, Extent]]:
    """Yield *count* states, each of one more service, which is new."""
    services = []
    for number in range(count):
        services.append(service(f"s{number}", f"10.96.{number // 256}.{number % 256}"))
        yield NodeState.of(BASE, services), Only({services[-1].key})


def report(directory: Path, *planes: Plane) -> Report:
    known = tuple(PlaneStatus(plane.name) for plane in planes)
    return Report(Status("n1", "1.0", 1, 0.0, "/site", planes=known), directory)


def plane_of(told: Report, name: str) -> PlaneStatus:
    return next(plane for plane in told.status.planes if plane.name == name)


def lived(steps: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(steps(), 30))


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_a_thousand_changes_in_a_second_are_brought_together(tmp_path: Path) -> None:
    plane = Hanging("fake")
    plane.go.set()
    lane = ApplyWorker([plane], report(tmp_path, plane))
    many = list(states(1000))

    async def steps() -> None:
        tasks = [asyncio.create_task(lane.apply(*each)) for each in many]
        await asyncio.gather(*tasks)

    lived(steps)
    assert 1000 == len(plane.there)
    assert plane.writes < 10


def test_what_comes_while_it_is_busy_is_brought_as_the_last_state(tmp_path: Path) -> None:
    plane = Hanging("fake")
    lane = ApplyWorker([plane], report(tmp_path, plane))
    first, *others = states(50)

    async def steps() -> None:
        tasks = [asyncio.create_task(lane.apply(*first))]
        await asyncio.to_thread(plane.entered.wait)
        tasks += [asyncio.create_task(lane.apply(*each)) for each in others]
        await asyncio.sleep(0)  # each of them has said what it wants
        plane.go.set()
        await asyncio.gather(*tasks)

    lived(steps)
    assert (2, 50) == (plane.writes, len(plane.there))


def test_to_try_again_meanwhile_keeps_nothing_from_being_brought(tmp_path: Path) -> None:
    plane = Hanging("fake")
    lane = ApplyWorker([plane], report(tmp_path, plane))
    (one, _), (two, new) = states(2)

    async def steps() -> None:
        tasks = [asyncio.create_task(lane.apply(one, All()))]
        await asyncio.to_thread(plane.entered.wait)
        tasks.append(asyncio.create_task(lane.apply(two, new)))
        tasks.append(asyncio.create_task(lane.apply(two, Repair())))
        await asyncio.sleep(0)  # both have said what they want
        plane.go.set()
        await asyncio.gather(*tasks)

    lived(steps)
    assert {"10.96.0.0": "s0", "10.96.0.1": "s1"} == plane.there


@pytest.mark.parametrize("order", [1, -1])
def test_a_plane_that_takes_long_is_told_with_since_when_until_it_is_over(
    tmp_path: Path, order: int
) -> None:
    well, hung = Plane("well"), Hanging("hung")
    planes = [well, hung][::order]
    told = report(tmp_path, *planes)
    lane = ApplyWorker(planes, told, Timings(busy_after=0.05))
    ((state, _),) = states(1)

    async def steps() -> None:
        before = time.time()
        applying = asyncio.create_task(lane.apply(state, All()))
        await until(lambda: plane_of(told, "hung").busy_since)
        assert before <= plane_of(told, "hung").busy_since <= time.time()
        assert 0 == plane_of(told, "well").busy_since
        assert "busy: hung" in told.status.summary
        looking = asyncio.create_task(lane.resync())  # which waits for the same
        hung.go.set()
        await asyncio.gather(applying, looking)

    lived(steps)
    assert [0, 0] == [plane.busy_since for plane in told.status.planes]
    assert [True, True] == [plane.since > 0 for plane in told.status.planes]


async def repaired(lane: ApplyWorker, state: NodeState) -> bool:
    """Look at the lane's dataplanes, and repair them; return whether that was due."""
    lane.ask(["fake"], forced=False)
    due = await lane.resync()
    if due:
        await lane.apply(state, Repair())
    return due


def test_who_insists_is_left_alone_also_when_it_is_tried_twice(tmp_path: Path) -> None:
    plane = Plane()
    told = report(tmp_path, plane)
    lane = ApplyWorker([plane], told)
    ((state, _),) = states(1)

    async def steps() -> None:
        await lane.apply(state, All())
        for _ in range(AT_ONCE):
            plane.there = {}
            assert await repaired(lane, state)
        plane.there = {}
        assert not await repaired(lane, state)
        await asyncio.gather(
            lane.apply(state, Repair()), lane.apply(state, Repair()), lane.apply(state, Repair())
        )
        assert {} == plane.there
        assert 4 < (lane.next_repair(time.monotonic()) or 0) <= 5

    lived(steps)
    assert AT_ONCE == plane_of(told, "fake").repairs
    assert "changed again and again" == plane_of(told, "fake").contested


def test_that_nobody_insists_any_more_is_told_when_the_pause_is_over(tmp_path: Path) -> None:
    plane = Plane()
    told = report(tmp_path, plane)
    lane = ApplyWorker([plane], told, Timings(first_pause=0.05))
    ((state, _),) = states(1)

    async def steps() -> None:
        await lane.apply(state, All())
        for _ in range(AT_ONCE):
            plane.there = {}
            assert await repaired(lane, state)
        assert "changed again and again" == plane_of(told, "fake").contested
        await asyncio.sleep(lane.next_repair(time.monotonic()) or 0)
        assert await lane.resync()
        await lane.apply(state, Repair())
        assert lane.next_repair(time.monotonic()) is None

    lived(steps)
    assert "" == plane_of(told, "fake").contested


def test_a_repair_that_is_refused_is_due_when_others_are_tried_again(tmp_path: Path) -> None:
    plane = Plane()
    told = report(tmp_path, plane)
    lane = ApplyWorker([plane], told)
    ((state, _),) = states(1)

    async def steps() -> None:
        await lane.apply(state, All())
        plane.there, plane.fails = {}, KernelRefused("no")
        assert await repaired(lane, state)
        assert "no" == plane_of(told, "fake").error
        assert lane.next_repair(time.monotonic()) is None
        plane.fails = None
        await lane.apply(state, Repair())

    lived(steps)
    assert {"10.96.0.0": "s0"} == plane.there
    reasons = [event.reason for event in told.journal.since(0)]
    assert ["Refused", "Recovered", "Repaired"] == reasons


def site(directory: Path, ip: str) -> bytes:
    """Return a site whose service has the address *ip*."""
    write(directory, {name: text.replace("10.96.0.5", ip) for name, text in FILES.items()})
    return encode(compile_source(directory))


@pytest.mark.parametrize("hanging", [0, 1])
def test_a_hung_worker_does_not_block_others(tmp_path: Path, hanging: int) -> None:
    well, hung = Plane("well"), Hanging("hung")
    lanes: list[list[Plane]] = [[well], [hung]] if hanging else [[hung], [well]]
    told = report(tmp_path, well, hung)
    before, after = site(tmp_path, "10.96.0.5"), site(tmp_path, "10.96.0.6")

    async def steps() -> None:
        controller = Controller("n1", lanes, told, Timings(site_patience=0.3))
        start = time.monotonic()
        await controller.take(before)
        assert {"10.96.0.5": "web"} == well.there
        assert {} == hung.there
        for _ in range(2):
            well.there = {}
            await controller.resync(["well", "hung"])
            await until(lambda: well.there)
        assert time.monotonic() - start < PATIENCE * 9
        await controller.take(after)
        assert {"10.96.0.6": "web"} == well.there
        looks = hung.looks
        hung.go.set()
        await until(lambda: hung.there == well.there)
        await until(lambda: hung.looks > looks)
        controller.close()

    lived(steps)
    assert "" == plane_of(told, "hung").error
    assert 2 == plane_of(told, "well").repairs


def test_who_tries_again_all_the_time_loses_no_change(tmp_path: Path) -> None:
    plane = Plane()
    told = report(tmp_path, plane)
    sites = {ip: site(tmp_path, ip) for ip in ("10.96.0.5", "10.96.0.6")}

    async def steps() -> None:
        controller = Controller("n1", [[plane]], told)

        async def insist() -> None:
            while True:
                await controller.retry()
                await asyncio.sleep(0)

        insisting = asyncio.create_task(insist())
        for _ in range(15):
            for ip, encoded in sites.items():
                await controller.take(encoded)
                assert {ip: "web"} == plane.there
        insisting.cancel()
        controller.close()

    lived(steps)


def test_with_a_plane_that_others_changed_those_before_it_are_looked_at(tmp_path: Path) -> None:
    """Who flushes the rules takes along what leads to IPVS, which nobody tells of."""
    before, plane = Plane("before"), Plane()
    lane = ApplyWorker([before, plane], report(tmp_path, before, plane))
    ((state, _),) = states(1)

    async def steps() -> None:
        await lane.apply(state, All())
        before.there = {}
        assert not await repaired(lane, state)
        plane.there = {}
        assert await repaired(lane, state)

    lived(steps)
    assert {"10.96.0.0": "s0"} == before.there == plane.there
