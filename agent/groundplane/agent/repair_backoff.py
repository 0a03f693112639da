"""When to repair what another program changes again and again. Pure: times are passed in.

The first repairs are made at once. If the other program keeps changing it back, each further repair
waits for some seconds, since two programs that undo each other's work help nobody; the status names
that program. The pause stays short: the other program may not mean it, and traffic suffers meanwhile.
"""

from typing import Final

from groundplane.agent.timings import TIMINGS, Timings

AT_ONCE: Final = 10  # repairs within _WINDOW_S that are made without waiting
_WINDOW_S: Final = 60.0


class RepairBackoff:
    """The repairs of one dataplane."""

    def __init__(self, timings: Timings = TIMINGS) -> None:
        self._first, self._longest = timings.first_pause, timings.longest_pause
        self._repairs: list[float] = []
        self._pause = 0.0
        self.until = 0.0  # no repair before
        self.pending = False  # whether there is something to repair

    def repaired(self, now: float) -> None:
        """Take note of a repair at *now*, and of how long the next one has to wait."""
        self.pending = False
        if self._pause and now > self.until + _WINDOW_S:
            self._pause = 0.0
        self._repairs = [each for each in self._repairs if now - each < _WINDOW_S] + [now]
        if len(self._repairs) >= AT_ONCE or self._pause:
            self._pause = min(2 * self._pause, self._longest) or self._first
            self.until = now + self._pause

    def waits(self, now: float) -> bool:
        """Return whether a repair has to wait."""
        return now < self.until
