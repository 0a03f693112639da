"""Limits on a server's open connections, in total and per client.

At a limit, a new connection replaces the one that has been idle longest: a client that opens
connections without sending requests cannot block others.
"""

import asyncio
import ipaddress
import os
import socket
import struct
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Final

_IPV6_CLIENT: Final = 64  # leading bits of an address: one host controls the others (RFC 4291)

# asyncio accepts as many connections in a row as its backlog, even if each fails for lack of a
# descriptor, and then has as many retry timers: so its backlog is 1, but not the kernel's.
AT_ONCE: Final = 1
_WAITING: Final = 100


class Connections:
    """The connections of a server: at most *limit*, and at most *each* of one client."""

    def __init__(self, limit: int, each: int) -> None:
        self._limit, self._each = limit, each
        # By age; a client with a request is answered, and is dropped only if no connection is idle.
        self._idle: dict[asyncio.StreamWriter, Hashable] = {}
        self._answered: dict[asyncio.StreamWriter, Hashable] = {}

    @contextmanager
    def hold(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        """Count *writer* as an idle connection for the duration of the context."""
        client = client_of(writer)
        self._make_room(client)
        self._idle[writer] = client
        try:
            yield
        finally:
            self._forget(writer)

    def asked(self, writer: asyncio.StreamWriter) -> None:
        """Note that *writer*'s client has sent a request."""
        if writer in self._idle:
            self._answered[writer] = self._idle.pop(writer)

    def _make_room(self, client: Hashable) -> None:
        held = [*chain(self._idle.items(), self._answered.items())]
        own = [writer for writer, other in held if other == client]
        if len(own) >= self._each:
            self._drop(own[0])
        elif len(held) >= self._limit:
            self._drop(held[0][0])

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._forget(writer)
        writer.transport.abort()

    def _forget(self, writer: asyncio.StreamWriter) -> None:
        self._idle.pop(writer, None)
        self._answered.pop(writer, None)


def client_of(writer: asyncio.StreamWriter) -> Hashable:
    """Return the client: the user of a unix socket, or an address."""
    connected = writer.get_extra_info("socket")
    if connected.family == socket.AF_UNIX:
        found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", found)[1])
    peer = writer.get_extra_info("peername")
    return client_address(str(peer[0])) if peer else None


def client_address(text: str) -> str:
    """Return the key of the client at the address *text*: for IPv6, the network of its link."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if address.version == 4:
        return text
    return str(ipaddress.ip_network((address, _IPV6_CLIENT), strict=False))


def lengthen_queue(server: asyncio.Server) -> None:
    """Lengthen the accept queue of *server*, which was started with the backlog AT_ONCE."""
    for each in server.sockets:
        with socket.socket(fileno=os.dup(each.fileno())) as listening:
            listening.listen(_WAITING)
