"""A small HTTP/1.1 server: short answers to short questions, one of each a connection (RFC 9112)."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from groundplane.agent.connections import AT_ONCE, Connections, lengthen_queue

log = logging.getLogger(__name__)

_REQUEST_BYTES: Final = 16 << 10
_PATIENCE_S: Final = 5.0
_CONNECTIONS: Final = 100  # at a time: descriptors are needed for other things
_OF_A_CLIENT: Final = 50
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Request(NamedTuple):
    """What is asked; *query* has the last value of each name."""

    method: str
    path: str
    query: Mapping[str, str]


class Response(NamedTuple):
    """An answer as a whole."""

    status: int
    body: bytes
    kind: str = "application/json"


Handler = Callable[[Request], Awaitable[Response]]


class Server:
    """Answers by *handler* on the sockets that it is given, until it is closed."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._servers: list[asyncio.Server] = []
        self._connections = Connections(_CONNECTIONS, _OF_A_CLIENT)

    async def listen_on_path(self, path: Path, mode: int) -> None:
        """Listen on a unix socket at *path*, in place of what a dead process left there; OSError."""
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            opened.bind(str(temporary))
            temporary.chmod(mode)
            opened.listen(100)
            temporary.rename(path)
        except OSError:
            opened.close()
            raise
        server = await asyncio.start_unix_server(
            self._serve, sock=opened, limit=_REQUEST_BYTES, backlog=AT_ONCE
        )
        lengthen_queue(server)
        self._servers.append(server)

    async def listen_on_address(self, address: str, port: int) -> None:
        """Listen on *port* of *address*; OSError says why not."""
        try:
            server = await asyncio.start_server(
                self._serve, address, port, limit=_REQUEST_BYTES, backlog=AT_ONCE
            )
        except socket.gaierror as error:
            raise OSError(error.errno, f"{address} port {port}: {error.strerror}") from None
        except OSError as error:
            message = os.strerror(error.errno) if error.errno else str(error)
            raise OSError(error.errno, f"{address} port {port}: {message}") from None
        lengthen_queue(server)
        self._servers.append(server)

    def close(self) -> None:
        for server in self._servers:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._connections.hold(writer):
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    writer.write(await self._answer(reader, writer))
                    await writer.drain()
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                # A client that asks nothing, or does not listen: what it has not taken is not kept.
                writer.transport.abort()
            finally:
                with suppress(OSError):
                    writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self._connections.asked(writer)
            request = parse(head)
        except asyncio.LimitOverrunError:
            return _encoded(Response(400, b"the request is too long\n", "text/plain"))
        except ValueError as error:
            return _encoded(Response(400, f"{error}\n".encode(), "text/plain"))
        try:
            response = await self._handler(request)
        except Exception:
            log.exception("%s %s", request.method, request.path)
            response = Response(500, b"the agent's log says why\n", "text/plain")
        return _encoded(response, body=request.method != "HEAD")


def parse(head: bytes) -> Request:
    """Return the request that *head* begins with; ValueError when it is none."""
    words = head.split(b"\r\n", 1)[0].decode("ascii", errors="replace").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        raise ValueError("no HTTP/1.1 request")
    target = urlsplit(words[1])
    return Request(words[0], target.path, dict(parse_qsl(target.query)))


def _encoded(response: Response, *, body: bool = True) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {_REASONS[response.status]}",
        f"Content-Type: {response.kind}",
        "X-Content-Type-Options: nosniff",
        f"Content-Length: {len(response.body)}",
        "Connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (response.body if body else b"")
