"""What happened on this node, and why: the last events, for `groundplane events` and the log."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

log = logging.getLogger(__name__)

KEPT: Final = 5000


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that happened. *number* rises by one with each; *time* is in Unix seconds."""

    number: int
    time: float
    reason: str  # one word, for machines: EndpointLeft, Repaired, SourceRefused, ...
    about: str  # kind/namespace/name, or a dataplane
    message: str
    revision: str
    warning: bool = False


class Journal:
    """The last events of this agent, oldest first; every thread may add one."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._number = 0

    def add(
        self, reason: str, about: str, message: str, revision: str, *, warning: bool = False
    ) -> None:
        """Keep an event, and log it."""
        with self._turn:
            self._number += 1
            event = Event(self._number, time.time(), reason, about, message, revision, warning)
            self._events.append(event)
        level = logging.WARNING if warning else logging.INFO
        fields = {"reason": reason, "about": about, "revision": revision}
        log.log(level, "%s: %s", about, message, extra=fields)

    def since(self, number: int, about: str = "") -> Sequence[Event]:
        """Return the events after *number*, of *about* alone where it is given."""
        with self._turn:
            kept = tuple(self._events)
        return [event for event in kept if event.number > number and about in ("", event.about)]
