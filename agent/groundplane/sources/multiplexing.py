"""Runs a command at a server over ssh's shared connection, without another ssh process.

It uses ssh's own protocol to the process that holds the connection: PROTOCOL.mux of OpenSSH.
"""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

_VERSION: Final = 4
_HELLO, _NEW_SESSION, _OPENED = 0x1, 0x10000002, 0x80000006
_NO_ESCAPE: Final = 0xFFFFFFFF
_MOST_BYTES: Final = 1 << 16  # of a message
_number: Final = struct.Struct(">I")


class Session:
    """A command that runs at the server: `send` writes its input, `receive` reads its output."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._socket, data)

    async def receive(self, count: int) -> bytes:
        """Return *count* bytes; EOFError if the output ends before."""
        found = bytearray()
        while len(found) < count:
            piece = await self._loop.sock_recv(self._socket, count - len(found))
            if not piece:
                raise EOFError("it has ended")
            found += piece
        return bytes(found)


@asynccontextmanager
async def session(
    directory: Path, name: str, command: str, environment: Mapping[str, str]
) -> AsyncGenerator[Session, None]:
    """Run *command* over the connection whose socket is *name* in *directory*, until the block ends.

    Of *environment* the server gets what the connection was made to send. OSError or EOFError when
    the connection is dead, or does not take the command.
    """
    with ExitStack() as stack:
        keeper = stack.enter_context(await _connected(directory, name))
        ours, theirs = socket.socketpair()
        stack.enter_context(ours).settimeout(0)
        with theirs, open(os.devnull, "wb") as nowhere:
            await _ask(keeper, command, environment, [theirs.fileno()] * 2 + [nowhere.fileno()])
        yield Session(ours)


async def _connected(directory: Path, name: str) -> socket.socket:
    """Return a connection to the socket *name*, whose whole path may be too long for one."""
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    place = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        await asyncio.get_running_loop().sock_connect(opened, f"/proc/self/fd/{place}/{name}")
    except BaseException:
        opened.close()
        raise
    finally:
        os.close(place)
    return opened


async def _ask(
    keeper: socket.socket, command: str, environment: Mapping[str, str], files: list[int]
) -> None:
    """Let *keeper* run *command* with the descriptors *files* as its input, output and errors."""
    talk = Session(keeper)
    wanted = _number.pack(_NEW_SESSION) + _number.pack(0) + _text("")
    wanted += _number.pack(0) * 4 + _number.pack(_NO_ESCAPE)  # no terminal, X11, agent, subsystem
    wanted += _text("") + _text(command)
    wanted += b"".join(_text(f"{key}={value}") for key, value in environment.items())
    await talk.send(_text(_number.pack(_HELLO) + _number.pack(_VERSION)) + _text(wanted))
    for file in files:
        socket.send_fds(keeper, [b"\0"], [file])
    answer = _HELLO
    while answer == _HELLO:
        (length,) = _number.unpack(await talk.receive(_number.size))
        if not _number.size <= length <= _MOST_BYTES:
            raise OSError("ssh sent a message of an impossible length")
        (answer,) = _number.unpack_from(await talk.receive(length))
    if answer != _OPENED:
        raise OSError("ssh does not open a session")


def _text(data: str | bytes) -> bytes:
    """Return *data* as a string of the protocol; a message is one, too."""
    encoded = data.encode() if isinstance(data, str) else data
    return _number.pack(len(encoded)) + encoded
