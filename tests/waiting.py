"""One way for tests to wait: until a condition holds, and several times as long as it should take.

A machine that runs other stages beside may be several times slower than an idle one. Waiting longer
costs nothing where the condition comes to hold.
"""

import time
from collections.abc import Callable
from typing import Final

PATIENCE: Final = 6  # how many times as long as on an idle machine


def until(
    condition: Callable[[], object],
    seconds: float = 10.0,
    what: str | Callable[[], str] = "the condition",
    *,
    every: float = 0.02,
) -> float:
    """Wait until *condition* holds; return how many seconds that took.

    *seconds* are what an idle machine needs at most. AssertionError says after PATIENCE times as
    long that *what* did not happen. *every* is the pause between two looks, in seconds.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > PATIENCE * seconds:
            said = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {PATIENCE * seconds:.0f} s: {said}")
        time.sleep(every)
    return time.monotonic() - began
