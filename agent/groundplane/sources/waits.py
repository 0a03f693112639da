"""How long sources wait for others, in seconds. A test passes shorter times."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Waits:
    """The waits of one source.

    Of a repository: *look* is for a look over a new connection, *again* for one over a connection that
    was there, which may be dead, *fetch* for a fetch. An ssh connection that nobody uses ends after
    *persist*: most nodes look more often, and an agent that is gone does not. One is replaced after
    *old*. A process of one that should end, which takes milliseconds, is given *leaving*.

    Of a web server: *silence* is for connecting, and between any two pieces; *whole* for all of it.
    """

    look: float = 30.0
    again: float = 10.0
    fetch: float = 60.0
    persist: int = 30
    old: float = 300.0
    leaving: float = 2.0
    silence: float = 10.0
    whole: float = 60.0


WAITS: Final = Waits()
