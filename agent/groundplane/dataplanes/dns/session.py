"""A conversation with the DNS server over TCP, every message signed with a TSIG key (RFC 8945)."""

import socket
import struct
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tsig
from dns.rdtypes.ANY.TSIG import TSIG

from groundplane.dataplanes.dns.wire import Message, decode, name
from groundplane.errors import StateError

FAILURES: Final = (OSError, EOFError, StateError, dns.exception.DNSException)
_FUDGE_S: Final = 300
_ADDITIONAL: Final = slice(10, 12)  # of a header: how many records are in the last section


class Signed(NamedTuple):
    """A message with its signature, by which the answer to it is signed too."""

    wire: bytes
    mac: bytes


class Session:
    """One connection; each answer is waited for *timeout* seconds. Raises `FAILURES`."""

    def __init__(self, address: str, port: int, key: dns.tsig.Key, timeout: float) -> None:
        self._key, self._name = key, name(key.name.to_text())
        self._socket = socket.create_connection((address, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, wire: bytes, number: int) -> Signed:
        """Send *wire* numbered *number*; its answer is to be received before another of its zone."""
        signed = self._sign(struct.pack("!H", number) + wire[2:])
        self._socket.sendall(struct.pack("!H", len(signed.wire)) + signed.wire)
        return signed

    def receive(self) -> tuple[bytes, Message]:
        """Return the next message, whose signature is yet to be looked at."""
        header = self._stream.read(2)
        (length,) = struct.unpack("!H", header) if len(header) == 2 else (0,)
        wire = self._stream.read(length)
        if not wire or len(wire) < length:
            raise EOFError("it closed the connection")
        return wire, decode(wire)

    def verified(self, wire: bytes, message: Message, question: Signed) -> Message:
        """Return *message*, the only answer to *question*, once it is known to be the server's."""
        self._verify(wire, message, question.mac, None, multi=False)
        return message

    def stream(self, question: Signed) -> Iterator[Message]:
        """Yield the messages of the answer to *question*, for as long as they are asked for."""
        context: Any = None
        while True:
            wire, message = self.receive()
            context = self._verify(wire, message, question.mac, context, multi=True)
            yield message

    def _sign(self, wire: bytes) -> Signed:
        (number,) = struct.unpack_from("!H", wire)
        now = int(time.time())
        empty = TSIG(  # type: ignore[no-untyped-call]
            "ANY", "TSIG", self._key.algorithm, now, _FUDGE_S, b"", number, 0, b""
        )
        made, _ = dns.tsig.sign(wire, self._key, empty, now)  # type: ignore[no-untyped-call]
        packed: bytes = made.to_wire()
        record = struct.pack("!HHIH", dns.rdatatype.TSIG, dns.rdataclass.ANY, 0, len(packed))
        counted = wire[:10] + b"\0\1" + wire[12:]
        return Signed(counted + self._name + record + packed, made.mac)

    def _verify(
        self, wire: bytes, message: Message, mac: bytes, context: object, *, multi: bool
    ) -> object:
        if message.tsig is None:
            raise StateError("an answer is not signed")
        begin, start, end = message.tsig
        found = dns.rdata.from_wire("ANY", "TSIG", wire, start, end - start)
        assert isinstance(found, TSIG)  # noqa: S101
        return dns.tsig.validate(  # type: ignore[no-untyped-call]
            wire, self._key, self._key.name, found, int(time.time()), mac, begin, context, multi
        )
