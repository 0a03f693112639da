"""A session with the DNS server over TCP; every message is signed."""

import select
import socket
import struct
import time
from collections.abc import Iterator
from typing import Final

from groundplane.dataplanes.dns.tsig import Signed, TsigKey, Verifier, sign
from groundplane.dataplanes.dns.wire import DnsMessage, decode
from groundplane.errors import StateError

FAILURES: Final = (OSError, EOFError, StateError)
_IDLE_S: Final = 20.0  # BIND closes a connection after 30 s idle (tcp-idle-timeout)


class DnsSession:
    """One connection; waits *timeout* seconds for each answer. Raises `FAILURES`."""

    def __init__(self, address: str, port: int, key: TsigKey, timeout: float) -> None:
        self.key = key
        self._socket = socket.create_connection((address, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")
        self._used = time.monotonic()

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    @property
    def usable(self) -> bool:
        """Return whether it is reusable: the server has not closed it and is not about to."""
        idle = time.monotonic() - self._used
        readable = select.poll()  # select() takes no descriptor from 1024 on
        readable.register(self._socket, select.POLLIN)
        return idle < _IDLE_S and not readable.poll(0)

    def send(self, wire: bytes, number: int) -> Signed:
        """Send *wire* with the ID *number*; receive its answer before the next for its zone."""
        self._used = time.monotonic()
        signed = sign(struct.pack("!H", number) + wire[2:], self.key, int(time.time()))
        self._socket.sendall(struct.pack("!H", len(signed.wire)) + signed.wire)
        return signed

    def receive(self) -> tuple[bytes, DnsMessage]:
        """Return the next message; its signature is not verified yet."""
        # BIND delays an answer until the previous one is acknowledged, which otherwise takes 40 ms.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        header = self._stream.read(2)
        (length,) = struct.unpack("!H", header) if len(header) == 2 else (0,)
        wire = self._stream.read(length)
        if not wire or len(wire) < length:
            raise EOFError("it closed the connection")
        return wire, decode(wire)

    def verified(self, wire: bytes, message: DnsMessage, question: Signed) -> DnsMessage:
        """Return *message*, the only answer to *question*, after verifying its signature."""
        Verifier(self.key, question.mac).verify(wire, message, int(time.time()))
        return message

    def stream(self, question: Signed) -> Iterator[DnsMessage]:
        """Yield the messages of the answer to *question*, as long as the caller iterates."""
        verifier = Verifier(self.key, question.mac)
        while True:
            wire, message = self.receive()
            verifier.verify(wire, message, int(time.time()))
            yield message
