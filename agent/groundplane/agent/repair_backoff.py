"""Rate limit for repairs if another program repeats its changes. Pure: times are passed in.

The first repairs are immediate. If the other program persists, each further repair waits some
seconds, so that two programs do not undo each other's work all the time; the status names that
program. The pause stays short: the change may be unintended, and traffic suffers meanwhile.
"""

from typing import Final

from groundplane.agent.timings import TIMINGS, Timings

AT_ONCE: Final = 10  # immediate repairs within _WINDOW_S
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
        """Record a repair at *now*, and compute how long the next one must wait."""
        self.pending = False
        if self._pause and now > self.until + _WINDOW_S:
            self._pause = 0.0
        self._repairs = [each for each in self._repairs if now - each < _WINDOW_S] + [now]
        if len(self._repairs) >= AT_ONCE or self._pause:
            self._pause = min(2 * self._pause, self._longest) or self._first
            self.until = now + self._pause

    def waits(self, now: float) -> bool:
        """Return whether a repair must wait."""
        return now < self.until
