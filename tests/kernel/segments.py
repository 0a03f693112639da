"""TCP connections that stand, and segments outside their windows that somebody injects.

A retransmission that comes too late, or an offload that errs, is such a segment too.
"""

import selectors
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Final, NamedTuple, Self

from tests.kernel.world import within

_ACK_PUSH: Final = 0x18
_RAW_TCP: Final = socket.IPPROTO_TCP


_REPAIR, _QUEUE, _QUEUE_SEQUENCE = 19, 20, 21  # TCP_REPAIR*, linux/tcp.h
_RECEIVED, _SENT, _OFF = 1, 2, -1
_OUTSIDE: Final = 1 << 24  # bytes behind what may come next


class Standing(NamedTuple):
    """A connection as its server sees it: both ends, and the next number of each way."""

    own: tuple[str, int]
    peer: tuple[str, int]
    next_sent: int
    next_received: int


class Echo:
    """Sends back what comes by any connection to *port* in *netns*."""

    def __init__(self, netns: str, port: int) -> None:
        self.netns, self._connections = netns, list[socket.socket]()
        self._selector = selectors.DefaultSelector()
        self._listener = within(netns, partial(_listener, port))
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._closing = False
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _run(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(0.1):
                opened = key.fileobj
                assert isinstance(opened, socket.socket)
                if opened is self._listener:
                    self._accept()
                elif not _echoed(opened):
                    self._selector.unregister(opened)
                    opened.close()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._connections.append(connection)
        self._selector.register(connection, selectors.EVENT_READ)

    def inject(self) -> None:
        """Send a segment outside the window by each connection, as if this end had sent it."""
        within(self.netns, partial(_inject, [_standing(each) for each in self._connections]))


def _listener(port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind(("::", port))
    opened.listen(2048)
    return opened


def _echoed(connection: socket.socket) -> bool:
    with suppress(OSError):
        if data := connection.recv(1 << 16):
            connection.sendall(data)
            return True
    return False


def _standing(connection: socket.socket) -> Standing:
    """Return what is known of *connection*, whose numbers the kernel shows while it is repaired."""
    numbers = []
    connection.setsockopt(socket.IPPROTO_TCP, _REPAIR, 1)
    for queue in (_SENT, _RECEIVED):
        connection.setsockopt(socket.IPPROTO_TCP, _QUEUE, queue)
        raw = connection.getsockopt(socket.IPPROTO_TCP, _QUEUE_SEQUENCE, 4)
        numbers.append(int.from_bytes(raw, sys.byteorder))
    connection.setsockopt(socket.IPPROTO_TCP, _REPAIR, _OFF)
    # The end of the repair clears it. In TIME_WAIT the connection would keep the next listener out.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return Standing(connection.getsockname()[:2], connection.getpeername()[:2], *numbers)


def _inject(connections: Sequence[Standing]) -> None:
    for each in connections:
        own, peer = (end[0].removeprefix("::ffff:") for end in (each.own, each.peer))
        family = socket.AF_INET6 if ":" in peer else socket.AF_INET
        with socket.socket(family, socket.SOCK_RAW, _RAW_TCP) as raw:
            raw.bind((own, 0))
            raw.sendto(
                _stray(each, [socket.inet_pton(family, end) for end in (own, peer)]), (peer, 0)
            )


def _stray(connection: Standing, addresses: Sequence[bytes]) -> bytes:
    """Return a segment of *connection* from far beyond the window (RFC 9293, 3.1).

    What it acknowledges is right, so a RST that answers it is in the window of its receiver.
    """
    numbers = (connection.next_sent + _OUTSIDE) % (1 << 32), connection.next_received
    ports = connection.own[1], connection.peer[1]
    head = [*ports, *numbers, 5 << 12 | _ACK_PUSH, 1024]
    payload = b"stray!"
    pseudo = b"".join(addresses) + struct.pack("!II", 20 + len(payload), _RAW_TCP)
    unsummed = struct.pack("!HHIIHHHH", *head, 0, 0) + payload
    return struct.pack("!HHIIHHHH", *head, _checksum(pseudo + unsummed), 0) + payload


def _checksum(data: bytes) -> int:
    total = sum(int.from_bytes(data[start : start + 2], "big") for start in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def connected(netns: str, address: str, port: int, count: int) -> list[socket.socket]:
    """Return *count* connections from *netns*, by each of which something was sent and came back."""

    def connect() -> list[socket.socket]:
        return [socket.create_connection((address, port), 5) for _ in range(count)]

    made = within(netns, connect)
    assert 0 == broken(made)
    return made


def broken(connections: Sequence[socket.socket]) -> int:
    """Return how many of *connections* nothing comes back by."""
    found = 0
    for each in connections:
        try:
            each.sendall(b"again")
            found += each.recv(64) != b"again"
        except OSError:
            found += 1
    return found
