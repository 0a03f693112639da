"""Whose command runs, and whose waits."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from groundplane.probes.turns import COMMANDS, OF_HANGING, Turns


class Commands:
    """Commands that run until they are told how they end; `running` are their workloads."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.running: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}

    def start(self, workload: str, *, hung: bool = False) -> asyncio.Task[None]:
        return asyncio.create_task(self._run(workload, hung=hung))

    async def _run(self, workload: str, *, hung: bool) -> None:
        async with self.turns.of(workload) as turn:
            self.running.append(workload)
            try:
                await self._ends.setdefault(workload, asyncio.Event()).wait()
                turn.note(hung=hung)
            finally:
                self.running.remove(workload)

    async def settle(self) -> list[str]:
        """Return whose commands run once all that can go on has done so."""
        for _ in range(20):
            await asyncio.sleep(0)
        return self.running

    async def once(self, workload: str, *, hung: bool) -> None:
        """Have a command of *workload* run and end."""
        started = self.start(workload, hung=hung)
        await self.settle()
        self._ends.pop(workload).set()
        await started


def of(steps: Callable[[Commands], Awaitable[None]]) -> None:
    async def live() -> None:
        commands = Commands()
        await steps(commands)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for each in left:
            each.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    asyncio.run(live())


def test_a_workload_has_one_place() -> None:
    async def steps(commands: Commands) -> None:
        for _ in range(COMMANDS):
            commands.start("a")
        commands.start("b")
        assert ["a", "b"] == await commands.settle()

    of(steps)


def test_sixteen_run_at_a_time() -> None:
    async def steps(commands: Commands) -> None:
        for number in range(COMMANDS + 1):
            commands.start(str(number))
        assert COMMANDS == len(await commands.settle())

    of(steps)


@pytest.mark.parametrize("how", ["it did not end in time", "it was given up"])
def test_those_that_hung_share_half_of_the_places(how: str) -> None:
    async def steps(commands: Commands) -> None:
        names = [f"h{number}" for number in range(COMMANDS + 4)]
        for each in names:
            if how == "it did not end in time":
                await commands.once(each, hung=True)
            else:
                given_up = commands.start(each)
                await commands.settle()
                given_up.cancel()
                with suppress(asyncio.CancelledError):
                    await given_up
        for each in names:
            commands.start(each)
        assert OF_HANGING == len(await commands.settle())
        others = [f"w{number}" for number in range(COMMANDS - OF_HANGING)]
        for each in others:
            commands.start(each)
        assert {*others} <= {*await commands.settle()}

    of(steps)


def test_one_that_ends_in_time_again_has_all_places() -> None:
    async def steps(commands: Commands) -> None:
        await commands.once("a", hung=True)
        await commands.once("a", hung=False)
        for number in range(OF_HANGING):
            await commands.once(f"h{number}", hung=True)
        for number in range(OF_HANGING):
            commands.start(f"h{number}")
        commands.start("a")
        assert "a" in await commands.settle()

    of(steps)


def test_who_gives_up_waiting_is_not_taken_for_one_that_hung() -> None:
    async def steps(commands: Commands) -> None:
        for number in range(COMMANDS):
            commands.start(f"w{number}")
        await commands.settle()
        waiting = commands.start("a")
        await commands.settle()
        waiting.cancel()
        await commands.settle()
        assert not commands.turns._turns.get("a")

    of(steps)
