"""Bounded reading of a child's output: a child that fills a pipe cannot fill our memory."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

KEPT_BYTES: Final = 64 << 10
_KILLED_S: Final = 1.0


class TooLong(Exception):
    """A stream has more bytes than its reader takes."""


async def first_of(stream: asyncio.StreamReader, most: int = KEPT_BYTES) -> bytes:
    """Return the first *most* bytes of *stream*, which is read to its end."""
    kept = bytearray()
    while piece := await stream.read(KEPT_BYTES):
        kept += piece[: most - len(kept)]
    return bytes(kept)


async def last_of(stream: asyncio.StreamReader, most: int = KEPT_BYTES) -> bytes:
    """Return the last *most* bytes of *stream*, which is read to its end."""
    kept = bytearray()
    while piece := await stream.read(KEPT_BYTES):
        kept += piece
        del kept[:-most]
    return bytes(kept)


async def all_of(stream: asyncio.StreamReader, most: int, stop: Callable[[], None]) -> bytes:
    """Return everything that *stream* has.

    Where that is over *most* bytes, *stop* is called once, which ends whoever writes, and the rest is
    read before TooLong is raised: asyncio takes a child for running while its pipes have something.
    """
    pieces: list[bytes] = []
    left = most
    while piece := await stream.read(1 << 20):
        if 0 <= left < len(piece):
            pieces.clear()
            stop()
        left -= len(piece)
        if left >= 0:
            pieces.append(piece)
    if left < 0:
        raise TooLong
    return b"".join(pieces)


async def end(child: asyncio.subprocess.Process) -> None:
    """Kill *child* where it runs, and wait for it; what it still says is read and dropped.

    If another process holds its pipes, such as a shared ssh connection, wait at most a second.
    """
    if child.returncode is not None:
        return
    with suppress(ProcessLookupError):
        child.kill()
    pipes = (stream for stream in (child.stdout, child.stderr) if stream)
    with suppress(TimeoutError):
        async with asyncio.timeout(_KILLED_S):
            await asyncio.gather(child.wait(), *(first_of(stream, 0) for stream in pipes))
