"""One epoll for the sockets of all checks, which the event loop sees as a single descriptor.

The loop's own bookkeeping for a descriptor costs more than a check does; this one is a dictionary.
"""

import asyncio
import logging
import select
import socket
import ssl
from collections.abc import Callable
from typing import Final

from groundplane.probes.outcome import ProbeOutcome, of_error, of_tls_error
from groundplane.probes.talk import Conversation

log = logging.getLogger(__name__)

# Edge-triggered, for both directions: registered once, and gone when the socket is closed.
_EVENTS: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET


class Poller:
    """Resumes each check when something happens on its socket, and then calls *afterwards*."""

    def __init__(self, afterwards: Callable[[], None]) -> None:
        self._epoll = select.epoll()
        self._afterwards = afterwards
        self._resume: dict[int, Callable[[], None]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._epoll.fileno(), self._ready)

    def _ready(self) -> None:
        for descriptor, _ in self._epoll.poll(0):
            # An earlier event of this batch may have ended the check and removed it.
            if resume := self._resume.get(descriptor):
                resume()
        self._afterwards()

    def watch(self, descriptor: int, resume: Callable[[], None]) -> None:
        """Call *resume* whenever something happens on *descriptor*, until `forget`."""
        self._epoll.register(descriptor, _EVENTS)
        self._resume[descriptor] = resume

    def forget(self, descriptor: int) -> None:
        """Call nothing any more; the descriptor is closed, and so no more in the epoll."""
        self._resume.pop(descriptor, None)

    def close(self) -> None:
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()


class PolledCheck:
    """One conversation under way: `step` goes on with it, and *done* is called once at its end."""

    __slots__ = ("_conversation", "_descriptor", "_done", "_poller", "_socket")

    def __init__(
        self, conversation: Conversation, poller: Poller, done: Callable[[ProbeOutcome], None]
    ) -> None:
        self._conversation = conversation
        self._poller = poller
        self._done = done
        self._socket: socket.socket | None = None
        self._descriptor = -1

    def step(self) -> None:
        try:
            waiting = next(self._conversation)
            if waiting is not self._socket:  # the first one, or that of a redirect
                self._poller.forget(self._descriptor)
                self._socket, self._descriptor = waiting, waiting.fileno()
                self._poller.watch(self._descriptor, self.step)
        except StopIteration as end:
            self._end(end.value)
        except ssl.SSLError as error:
            self._end(of_tls_error(error))
        except OSError as error:
            self._end(of_error(error.errno or 0))
        except Exception as error:
            log.exception("a probe's check")
            self._end(ProbeOutcome(None, f"not checked: {type(error).__name__}: {error}"))

    def _end(self, outcome: ProbeOutcome) -> None:
        self.abort()
        self._done(outcome)

    def abort(self) -> None:
        """Close what is open, without a call of *done*."""
        self._poller.forget(self._descriptor)
        self._conversation.close()
        self._socket = None
