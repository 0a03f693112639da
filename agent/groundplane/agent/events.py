"""This node's last events and their reasons, for `groundplane events` and the log."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from groundplane.errors import bounded

log = logging.getLogger(__name__)

KEPT: Final = 5000
KEPT_TEXT: Final = 4 << 20  # characters of all messages: a typical event has a hundred
MAX_MESSAGE: Final = 4 << 10  # characters; the status has the whole of an error


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """One event. *number* rises by one with each; *time* is in Unix seconds."""

    number: int
    time: float
    reason: str  # one word, for machines: EndpointLeft, Repaired, SourceRefused, ...
    about: str  # kind/namespace/name, or a dataplane
    message: str
    revision: str
    warning: bool = False
    place: str = ""  # file and line of what it is about, where a document is it


class Journal:
    """The last events of this agent, oldest first; every thread may add one."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._events: deque[Event] = deque()
        self._number = 0
        self._text = 0  # characters of the messages of all events

    def add(
        self,
        reason: str,
        about: str,
        message: str,
        revision: str,
        *,
        warning: bool = False,
        place: str = "",
    ) -> None:
        """Keep an event, and log it; a message that is too long is cut."""
        message = bounded(message, MAX_MESSAGE)
        with self._turn:
            self._number += 1
            event = Event(
                self._number, time.time(), reason, about, message, revision, warning, place
            )
            self._events.append(event)
            self._text += len(message)
            while len(self._events) > KEPT or self._text > KEPT_TEXT:
                self._text -= len(self._events.popleft().message)
        level = logging.WARNING if warning else logging.INFO
        fields = {"reason": reason, "about": about, "revision": revision, "place": place}
        log.log(level, "%s: %s%s", about, message, place and f" ({place})", extra=fields)

    def since(self, number: int, about: str = "") -> Sequence[Event]:
        """Return the events after *number*, only those about *about* if given."""
        with self._turn:
            kept = tuple(self._events)
        return [event for event in kept if event.number > number and about in ("", event.about)]
