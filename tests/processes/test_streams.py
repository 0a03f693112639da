"""What is kept of what a child prints."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import pytest

from groundplane.processes.streams import TooLong, all_of, end, first_of, last_of

PIECES = [b"abc" * 40_000, b"d" * 200_000, b"xyz"]


def given(read: Callable[[asyncio.StreamReader], Awaitable[bytes]]) -> tuple[bytes, bool]:
    """Return what *read* makes of PIECES, and whether it has read to their end."""

    async def run() -> tuple[bytes, bool]:
        stream = asyncio.StreamReader()
        for piece in PIECES:
            stream.feed_data(piece)
        stream.feed_eof()
        return await read(stream), stream.at_eof()

    return asyncio.run(run())


def test_the_first_of_it_is_kept_and_the_rest_read() -> None:
    assert given(lambda stream: first_of(stream, 5)) == (b"abcab", True)


def test_the_last_of_it_is_kept() -> None:
    assert given(lambda stream: last_of(stream, 5)) == (b"ddxyz", True)


def test_all_of_it_is_taken_up_to_a_limit() -> None:
    whole = b"".join(PIECES)
    assert given(lambda stream: all_of(stream, len(whole), pytest.fail)) == (whole, True)


@pytest.mark.parametrize("most", [0, 5, 200_000, 320_002])
def test_of_what_is_too_long_the_writer_is_stopped_once_and_the_rest_read(most: int) -> None:
    stopped: list[int] = []

    async def read(stream: asyncio.StreamReader) -> bytes:
        with pytest.raises(TooLong):
            await all_of(stream, most, lambda: stopped.append(1))
        return b""

    assert given(read) == (b"", True)
    assert [1] == stopped


def test_a_child_that_prints_without_end_is_ended() -> None:
    async def run() -> int | None:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec("yes", stdout=pipe, stderr=pipe)
        assert child.stdout
        await child.stdout.readexactly(1_000_000)
        await end(child)
        return child.returncode

    assert -signal.SIGKILL == asyncio.run(run())
