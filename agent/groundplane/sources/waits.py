"""How long sources wait for others, in seconds. A test passes shorter times."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Waits:
    """The waits of one source.

    For a repository: *look* limits a look over a new connection, *again* one over an existing
    connection, which may be dead; *fetch* limits a fetch. An ssh connection closes after *persist*
    seconds without use: most nodes look more often, and a stopped agent leaves none open. A
    connection is replaced after *old*. Its process gets *leaving* to end, which takes milliseconds.

    For a web server: *silence* limits connecting, and the time between two pieces of the answer;
    *whole* limits the whole exchange.
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
