"""The Prober, with real sockets: who is asked when, and what is told of it."""

import asyncio
import gc
import resource
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, suppress

import pytest
from msgspec.structs import replace

from groundplane.probes import ProbeKey, Prober, Verdict
from groundplane.probes.schedule import phase
from groundplane.site.compiled import Probe
from tests.probes.servers import descriptors, free_port, probe
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

NODE = "n1"
Changes = list[tuple[float, Mapping[ProbeKey, Verdict]]]


def early(count: int, below: float = 0.05) -> list[str]:
    """Return names of workloads that this node checks within *below* s of the start."""
    found = (f"w{number}" for number in range(100_000))
    return [name for name in found if phase(NODE, ("default", name)) < below][:count]


FIRST, SECOND, *_ = early(20)
# An answer counts at most a quarter of a second late on an idle machine.
LATE_S = PATIENCE * 0.25


def running(steps: Callable[[Prober, Changes], Awaitable[None]], **options: object) -> None:
    """Run *steps* with a Prober and the list of what it tells; nothing may be left of it."""

    async def run() -> None:
        told: Changes = []
        before = descriptors()
        prober = Prober(NODE, lambda found: told.append((time.monotonic(), found)), **options)  # type: ignore[arg-type]
        try:
            await asyncio.wait_for(steps(prober, told), PATIENCE * 20)
        finally:
            await prober.close()
        assert before == descriptors()
        assert [asyncio.current_task()] == list(asyncio.all_tasks())

    gc.disable()  # what earlier tests have left open is not closed while descriptors are counted
    try:
        asyncio.run(run())
    finally:
        gc.enable()


def wanted(*probes: Probe) -> dict[ProbeKey, Probe]:
    return {each.key: each for each in probes}


async def until(true: Callable[[], object], patience: float = 5) -> None:
    async with asyncio.timeout(PATIENCE * patience):
        while not true():
            await asyncio.sleep(0.005)


def listening(port: int = 0) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), backlog=2000)


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def test_it_does_not_pass_until_it_is_checked_which_is_at_once() -> None:
    async def steps(prober: Prober, told: Changes) -> None:
        with listening() as listener:
            asked = probe(port_of(listener), name=FIRST)
            prober.want(wanted(asked))
            assert {asked.key} == prober.failing
            assert "not checked yet" == prober.verdicts[asked.key].why
            await until(lambda: told, 0.5)
        ((_, found),) = told
        assert (True, "connected", 0) == (
            found[asked.key].passing, found[asked.key].why, found[asked.key].failures
        )  # fmt: skip
        assert frozenset() == prober.failing == prober.stumbling

    running(steps)


@pytest.mark.parametrize("before", [True, False])
def test_what_is_remembered_does_not_flap(before: bool) -> None:
    async def steps(prober: Prober, told: Changes) -> None:
        asked = probe(free_port(), name=FIRST, failure_threshold=3)
        prober.want(wanted(asked))
        assert before == (asked.key not in prober.failing)
        await until(lambda: prober.verdicts[asked.key].failures)
        assert (before, "connection refused") == prober.verdicts[asked.key][0:3:2]
        assert [] == told
        assert {asked.key} == prober.stumbling
        prober.want({})
        assert frozenset() == prober.stumbling

    running(steps, remembered={("default", FIRST): before})


def test_a_backend_that_dies_is_told_in_time_and_so_is_its_return() -> None:
    """failureThreshold periods, the timeout and 250 ms, at most."""

    async def steps(prober: Prober, told: Changes) -> None:
        listener = listening()
        asked = probe(port_of(listener), name=FIRST, failure_threshold=2)
        prober.want(wanted(asked))
        await until(lambda: told)
        listener.close()
        died = time.monotonic()
        await until(lambda: len(told) == 2)
        assert told[-1][0] - died <= 2 * 1 + 1 + LATE_S
        assert "connection refused" == told[-1][1][asked.key].why
        with listening(asked.port):
            back = time.monotonic()
            await until(lambda: len(told) == 3)
            assert told[-1][0] - back <= 1 + LATE_S

    running(steps)


def test_who_does_not_answer_fails_after_the_timeout() -> None:
    async def steps(prober: Prober, told: Changes) -> None:
        with listening() as listener:
            asked = probe(port_of(listener), "http", name=FIRST)
            prober.want(wanted(asked), remembered={asked.key: True})
            start = time.monotonic()
            await until(lambda: told)
        assert 1 <= time.monotonic() - start < 1 + LATE_S
        assert "no answer within 1 s" == told[0][1][asked.key].why
        assert 1 <= told[0][1][asked.key].seconds < 1 + LATE_S

    running(steps)


def test_changes_of_one_moment_are_told_together() -> None:
    """In one call, but for those that a busy machine lets wait for longer than the moment."""

    async def steps(prober: Prober, told: Changes) -> None:
        with listening() as listener:
            names = early(30, 0.0008)
            prober.want(wanted(*(probe(port_of(listener), name=name) for name in names)))
            await until(lambda: len(names) == sum(len(found) for _, found in told))
        assert len(told) < 5

    running(steps)


def test_a_check_can_be_asked_for_at_once() -> None:
    async def steps(prober: Prober, _: Changes) -> None:
        with listening() as listener:
            rare = probe(port_of(listener), name=FIRST, period=60)
            prober.want(wanted(rare))
            await until(lambda: rare.key not in prober.failing)
            since = asyncio.get_running_loop().time()
            assert {rare.key} == prober.unchecked([rare.key], since)
            prober.check_now([rare.key])
            await until(lambda: not prober.unchecked([rare.key], since), 1)

    running(steps)


def test_a_check_that_is_under_way_is_given_up_for_one_at_once() -> None:
    async def steps(prober: Prober, _: Changes) -> None:
        with listening() as listener:
            silent = probe(port_of(listener), "http", name=FIRST, period=60, timeout=30)
            prober.want(wanted(silent))
            first, _ = await asyncio.to_thread(listener.accept)
            prober.check_now([silent.key])
            second, _ = await asyncio.to_thread(listener.accept)
            with first, second:
                first.settimeout(1)
                with suppress(ConnectionResetError):
                    while first.recv(1000):  # until it is closed
                        pass

    running(steps)


def test_what_is_wanted_no_more_is_not_asked_any_more() -> None:
    async def steps(prober: Prober, told: Changes) -> None:
        with listening() as one, listening() as other:
            stays, goes = (probe(port_of(each), name=name)
                           for each, name in ((one, FIRST), (other, SECOND)))  # fmt: skip
            prober.want(wanted(stays, goes))
            await until(lambda: not prober.failing)
            since = prober.verdicts[stays.key].since
            prober.want(wanted(stays))
            assert {stays.key} == prober.verdicts.keys()
            assert since == prober.verdicts[stays.key].since
            other.settimeout(0.01)
            with suppress(TimeoutError):
                while other.accept():
                    pass
            other.settimeout(1.2)
            loop = asyncio.get_running_loop()
            with pytest.raises(TimeoutError):
                await loop.run_in_executor(None, other.accept)

    running(steps)


def test_a_replaced_probe_keeps_its_verdict_while_it_asks_the_same() -> None:
    async def steps(prober: Prober, told: Changes) -> None:
        with listening() as one, listening() as other:
            asked = probe(port_of(one), name=FIRST)
            prober.want(wanted(asked))
            await until(lambda: not prober.failing)
            prober.want(wanted(replace(asked, period=300, failure_threshold=9)))
            assert frozenset() == prober.failing
            prober.want(wanted(replace(asked, port=port_of(other))))
            assert {asked.key} == prober.failing
            await until(lambda: not prober.failing)

    running(steps)


def test_a_shorter_period_counts_at_once() -> None:
    async def steps(prober: Prober, told: Changes) -> None:
        listener = listening()
        asked = probe(port_of(listener), name=FIRST, period=3600)
        prober.want(wanted(asked))
        await until(lambda: not prober.failing)
        listener.close()
        prober.want(wanted(replace(asked, period=1)))
        await until(lambda: prober.failing, 1.25)

    running(steps)


def test_a_probe_that_is_taken_away_while_it_asks_leaves_nothing() -> None:
    async def steps(prober: Prober, told: Changes) -> None:
        with listening() as listener:
            before = descriptors()
            prober.want(wanted(probe(port_of(listener), "http", name=FIRST, timeout=60)))
            await until(lambda: descriptors() > before)
            prober.want({})
            assert before == descriptors()

    running(steps)


def test_an_initial_delay_is_waited_for() -> None:
    async def steps(prober: Prober, told: Changes) -> None:
        with listening() as listener:
            prober.want(wanted(probe(port_of(listener), name=FIRST, initial_delay=1)))
            start = time.monotonic()
            await until(lambda: told)
        assert 1 <= time.monotonic() - start < 1 + LATE_S

    running(steps)


def test_no_more_are_asked_at_a_time_than_may_be() -> None:
    """1,000 that do not answer, 100 at a time: each waits for its turn, and is asked."""

    async def steps(prober: Prober, told: Changes) -> None:
        with listening() as listener:
            before, most = descriptors(), 0
            names = [f"w{number}" for number in range(1000)]
            probes = (probe(port_of(listener), "http", name=name, timeout=1) for name in names)
            prober.want(wanted(*probes))
            start = time.monotonic()
            while time.monotonic() - start < 1.5:
                most = max(most, descriptors() - before)
                await asyncio.sleep(0.01)
            assert 100 == most
            told_of = [each for each in prober.verdicts.values() if each.failures]
            assert 100 <= len(told_of) <= 200

    running(steps, in_flight=100)


def test_a_thousand_that_answer_are_all_known_within_a_second_or_so() -> None:
    async def steps(prober: Prober, told: Changes) -> None:
        with ExitStack() as opened:
            ports = [port_of(opened.enter_context(listening())) for _ in range(10)]
            prober.want(
                wanted(*(probe(ports[n % 10], name=f"w{n}", period=10) for n in range(1000)))
            )
            await until(lambda: not prober.failing, 3)
        assert all(each.why == "connected" for each in prober.verdicts.values())

    running(steps, in_flight=50)


def test_a_node_without_descriptors_left_believes_what_it_knew() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def steps(prober: Prober, told: Changes) -> None:
        asked = probe(free_port(), name=FIRST)
        prober.want(wanted(asked))
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        try:
            await until(lambda: prober.verdicts[asked.key].why != "not checked yet")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (True, "not checked: Too many open files") == prober.verdicts[asked.key][0:3:2]
        assert [] == told

    running(steps, remembered={("default", FIRST): True})


EXEC = replace(probe(0, "exec", name=FIRST), command=("/usr/bin/check",))


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (NODE, "exec probes are off on this node"),
        ("n2", "exec probes are run by their own node alone, which is n2"),
    ],
)
def test_exec_passes_where_it_is_not_run(node: str, why: str) -> None:
    async def steps(prober: Prober, told: Changes) -> None:
        prober.want(wanted(replace(EXEC, node=node)))
        assert (True, why) == prober.verdicts[EXEC.key][0:3:2]

    running(steps)


def test_exec_is_run_by_who_can() -> None:
    ran: list[Probe] = []

    async def run(asked: Probe) -> tuple[bool, str]:
        ran.append(asked)
        return False, "exit status 3"

    async def steps(prober: Prober, told: Changes) -> None:
        prober.want(wanted(EXEC), remembered={EXEC.key: True})
        await until(lambda: told)
        assert ([EXEC], "exit status 3") == (ran, told[0][1][EXEC.key].why)

    running(steps, run_exec=run)


def test_exec_that_takes_too_long_fails_and_is_cancelled() -> None:
    ended: list[str] = []

    async def run(_: Probe) -> tuple[bool, str]:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")
        return True, ""

    async def steps(prober: Prober, told: Changes) -> None:
        prober.want(wanted(EXEC), remembered={EXEC.key: True})
        await until(lambda: told)
        assert "no answer within 1 s" == told[0][1][EXEC.key].why
        assert ["cancelled"] == ended

    running(steps, run_exec=run)


def test_a_helper_that_is_not_there_decides_nothing() -> None:
    async def run(_: Probe) -> tuple[bool, str]:
        raise OSError("the helper is gone")

    async def steps(prober: Prober, told: Changes) -> None:
        prober.want(wanted(EXEC), remembered={EXEC.key: True})
        await until(lambda: "gone" in prober.verdicts[EXEC.key].why)
        assert (True, "not checked: the helper is gone") == prober.verdicts[EXEC.key][0:3:2]

    running(steps, run_exec=run)
