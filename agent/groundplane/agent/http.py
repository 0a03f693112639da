"""The agent's HTTP/1.1 server: requests with a path and a query to responses (RFC 9112)."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from groundplane.agent.connections import AT_ONCE, lengthen_queue
from groundplane.agent.exchanges import REQUEST_BYTES, Exchanges, Response, encoded

log = logging.getLogger(__name__)

_PATIENCE_S: Final = 5.0
_CONNECTIONS: Final = 100  # at a time: other tasks also need descriptors
_OF_A_CLIENT: Final = 50


class ApiRequest(NamedTuple):
    """A request; *query* has the last value of each name."""

    method: str
    path: str
    query: Mapping[str, str]


Handler = Callable[[ApiRequest], Awaitable[Response]]


class Server:
    """Answers by *handler* on the sockets that it is given, until it is closed."""

    def __init__(self, handler: Handler, patience_s: float = _PATIENCE_S) -> None:
        self._handler = handler
        self._servers: list[asyncio.Server] = []
        self._serve = Exchanges(_CONNECTIONS, _OF_A_CLIENT, patience_s).answering(self._answer)

    async def listen_on_path(self, path: Path, mode: int) -> None:
        """Listen on a unix socket at *path*, replacing a dead process's socket. Raises OSError."""
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
            self._serve, sock=opened, limit=REQUEST_BYTES, backlog=AT_ONCE
        )
        lengthen_queue(server)
        self._servers.append(server)

    async def listen_on_address(self, address: str, port: int) -> None:
        """Listen on *port* of *address*. Raises OSError."""
        try:
            server = await asyncio.start_server(
                self._serve, address, port, limit=REQUEST_BYTES, backlog=AT_ONCE
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

    async def _answer(self, head: bytes | None) -> bytes:
        if head is None:
            return encoded(Response(400, b"the request is too long\n", "text/plain"))
        try:
            request = parse(head)
        except ValueError as error:
            return encoded(Response(400, f"{error}\n".encode(), "text/plain"))
        try:
            response = await self._handler(request)
        except Exception:
            log.exception("%s %s", request.method, request.path)
            response = Response(500, b"the agent's log says why\n", "text/plain")
        return encoded(response, body=request.method != "HEAD")


def parse(head: bytes) -> ApiRequest:
    """Return the request at the start of *head*; ValueError if there is none."""
    words = head.split(b"\r\n", 1)[0].decode("ascii", errors="replace").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        raise ValueError("no HTTP/1.1 request")
    target = urlsplit(words[1])
    return ApiRequest(words[0], target.path, dict(parse_qsl(target.query)))
