"""Scheduling of exec probe commands: sixteen at a time, one per workload.

Workloads whose last command did not end in time share half of the places, so those that hang,
however many there are, leave room for all others.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

COMMANDS: Final = 16
OF_HANGING: Final = COMMANDS // 2


class _Turn:
    """A workload's own: *users* count those that run or wait."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
        self.hung = False

    def note(self, *, hung: bool) -> None:
        """Note whether the command that has ended did not end in time."""
        self.hung = hung


class Turns:
    """The places of a helper, for as many workloads as ask."""

    def __init__(self) -> None:
        self._places, self._hanging = asyncio.Semaphore(COMMANDS), asyncio.Semaphore(OF_HANGING)
        self._turns: dict[str, _Turn] = {}

    @asynccontextmanager
    async def of(self, workload: str) -> AsyncIterator[_Turn]:
        """Wait for a place for a command of *workload*, and hold it as long as the context lasts.

        Who leaves by an exception was given up: that command is taken for one that hung.
        """
        turn = self._turns.setdefault(workload, _Turn())
        turn.users += 1
        try:
            async with AsyncExitStack() as held:
                await held.enter_async_context(turn.lock)
                if turn.hung:
                    await held.enter_async_context(self._hanging)
                await held.enter_async_context(self._places)
                turn.hung = True
                yield turn
        finally:
            turn.users -= 1
            if not turn.users and not turn.hung:
                del self._turns[workload]
