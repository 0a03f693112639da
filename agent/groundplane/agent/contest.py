"""How often what others change again and again is repaired. Pure: times are given.

The first repairs are made at once. A program that insists gets its way for some seconds each time,
since two programs that undo each other's work help nobody; it is named in the status meanwhile.
No longer, since what it undoes may be no more than a side effect, and is missed by traffic.
"""

from typing import Final

AT_ONCE: Final = 10  # repairs within _WINDOW_S that are made without waiting
_WINDOW_S: Final = 60.0
_FIRST_S, _LONGEST_S = 5.0, 10.0


class Contest:
    """The repairs of one dataplane."""

    def __init__(self) -> None:
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
            self._pause = min(2 * self._pause, _LONGEST_S) or _FIRST_S
            self.until = now + self._pause

    def waits(self, now: float) -> bool:
        """Return whether a repair has to wait."""
        return now < self.until
