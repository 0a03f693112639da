"""One HTTP request and one response on each connection, within bounds of time, size and number."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

from groundplane.agent.connections import Connections

REQUEST_BYTES: Final = 16 << 10
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

# From a request's head (None if over REQUEST_BYTES) to the complete answer (b"" for none).
Answer = Callable[[bytes | None], Awaitable[bytes]]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Response(NamedTuple):
    """A complete response; *headers* are those in addition to the common ones."""

    status: int
    body: bytes
    kind: str = "application/json"
    headers: tuple[str, ...] = ()


class Exchanges:
    """The connections of a server: at most *limit*, and at most *each* of one client."""

    def __init__(self, limit: int, each: int, patience_s: float) -> None:
        self._connections = Connections(limit, each)
        self._patience_s = patience_s  # for a whole exchange

    def answering(self, answer: Answer) -> Serve:
        """Return a callback for asyncio.start_server and the like that answers by *answer*."""
        return partial(self._serve, answer)

    async def _serve(
        self, answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with self._connections.hold(writer):
            try:
                async with asyncio.timeout(self._patience_s):
                    head = await _head(reader)
                    self._connections.asked(writer)
                    writer.write(await answer(head))
                    await writer.drain()
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                # A client that sends no request or does not read: drop the data it has not taken.
                writer.transport.abort()
            finally:
                with suppress(OSError):
                    writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes | None:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return None


def encoded(response: Response, *, body: bool = True) -> bytes:
    """Return *response* as it is sent (RFC 9112), without its body for a HEAD request."""
    lines = [
        f"HTTP/1.1 {response.status} {_REASONS[response.status]}",
        f"Content-Type: {response.kind}",
        "X-Content-Type-Options: nosniff",
        *response.headers,
        f"Content-Length: {len(response.body)}",
        "Connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (response.body if body else b"")
