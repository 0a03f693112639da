"""Checks as conversations over non-blocking sockets, each a generator.

It yields the socket that it waits for and returns its `ProbeOutcome`; closing it closes the socket. So
a check that waits costs one descriptor and no task, timer or thread.
"""

import errno
import socket
import ssl
import struct
from collections.abc import Callable, Generator
from functools import cache
from typing import Final, TypeVar

from groundplane.probes.http import HttpAnswer, HttpRequest
from groundplane.probes.outcome import ProbeOutcome, of_error
from groundplane.site.compiled import Probe

T = TypeVar("T")
Waiting = Generator[socket.socket, None, T]
Conversation = Waiting[ProbeOutcome]

_KIND: Final = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
# Closed by a reset: thousands of checks leave no connection in TIME_WAIT behind.
_RESET: Final = struct.pack("ii", 1, 0)
_UNDER_WAY: Final = (errno.EINPROGRESS, errno.EALREADY)
_READ_BYTES: Final = 16 << 10
_ANSWER_BYTES: Final = 256 << 10  # whatever an answer is: more is none
_ENDLESS: Final = ProbeOutcome(passed=False, reason="an answer without end")


def conversation(probe: Probe) -> Conversation:
    """Return the check of *probe*, which is not an exec probe, before its first step."""
    if probe.kind == "tcp":
        return _tcp(probe)
    if probe.kind == "grpc":
        return _grpc(probe)
    tls = probe.kind == "https"
    return _http(HttpRequest(tls, probe.address, probe.port, probe.path, probe.host, probe.headers))


def _opened(address: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, _KIND)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    return opened


def _connected(opened: socket.socket, address: str, port: int) -> Waiting[ProbeOutcome | None]:
    """Connect; return None, or why it failed."""
    place = (address, port)
    # The second call says what became of the first one (connect(2)): 0, or its error.
    while (number := opened.connect_ex(place)) in _UNDER_WAY:
        yield opened
    return None if number in (0, errno.EISCONN) else of_error(number)


def _tcp(probe: Probe) -> Conversation:
    with _opened(probe.address) as opened:
        fault = yield from _connected(opened, probe.address, probe.port)
        return fault or ProbeOutcome(passed=True, reason="connected")


def _http(request: HttpRequest) -> Conversation:
    while True:
        with _opened(request.address) as opened:
            if fault := (yield from _connected(opened, request.address, request.port)):
                return fault
            channel: Plain | Tls = Tls(opened) if request.tls else Plain(opened)
            yield from channel.send(request.encoded())
            ended = yield from _heard(channel, HttpAnswer(request))
            if isinstance(ended, ProbeOutcome):
                return ended
            request = ended


def _grpc(probe: Probe) -> Conversation:
    # Only for sites with such probes: h2 takes 4 MB.
    from groundplane.probes.grpc import HealthCheck

    address = f"[{probe.address}]" if ":" in probe.address else probe.address
    with _opened(probe.address) as opened:
        if fault := (yield from _connected(opened, probe.address, probe.port)):
            return fault
        call, channel = HealthCheck(f"{address}:{probe.port}", probe.service), Plain(opened)
        for _ in range(_ANSWER_BYTES >> 10):
            yield from channel.send(call.outgoing())
            data = yield from channel.receive()
            if ended := call.received(data):
                return ended
        return _ENDLESS


def _heard(channel: "Plain | Tls", answer: HttpAnswer) -> Waiting[ProbeOutcome | HttpRequest]:
    """Feed received data to *answer* until it has a result."""
    left = _ANSWER_BYTES
    while left > 0:
        data = yield from channel.receive()
        if ended := answer.received(data):
            return ended
        left -= len(data)
    return _ENDLESS


class Plain:
    """A channel without TLS over a connected socket."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened

    def send(self, data: bytes) -> Waiting[None]:
        while data:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                yield self._socket

    def receive(self) -> Waiting[bytes]:
        """Return what comes next, b"" where the connection has ended."""
        while True:
            try:
                return self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                yield self._socket


class Tls:
    """The same over TLS; the handshake is part of the first step."""

    def __init__(self, opened: socket.socket) -> None:
        self._plain = Plain(opened)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = _context().wrap_bio(self._incoming, self._outgoing)

    def send(self, data: bytes) -> Waiting[None]:
        yield from self._done(lambda: self._tls.write(data))

    def receive(self) -> Waiting[bytes]:
        try:
            return (yield from self._done(lambda: self._tls.read(_READ_BYTES)))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def _done(self, operation: Callable[[], T]) -> Waiting[T]:
        """Return what *operation* does, with what it needs of the network."""
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                yield from self._plain.send(self._outgoing.read())
            except ssl.SSLError:
                yield from self._plain.send(self._outgoing.read())  # the alert that says why
                raise
            else:
                yield from self._plain.send(self._outgoing.read())
                return result
            if data := (yield from self._plain.receive()):
                self._incoming.write(data)
            else:
                self._incoming.write_eof()


@cache
def _context() -> ssl.SSLContext:
    """Return the context of all checks: any certificate is good enough, as for kubelet."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
