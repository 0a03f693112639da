"""Reports changes of a file, or of everything below a directory, by inotify(7).

Nothing runs while nothing changes.
"""

import asyncio
import ctypes
import os
import struct
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_ATTRIB, _MODIFY, _CLOSE_WRITE = 0x4, 0x2, 0x8  # sys/inotify.h: IN_*
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF = 0x400, 0x800
_OVERFLOW, _IGNORED, _ONLY_DIRECTORIES, _IS_DIRECTORY = 0x4000, 0x8000, 0x1000000, 0x40000000
_TOLD: Final = (
    _ATTRIB | _MODIFY | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
    | _DELETE_SELF | _MOVE_SELF | _ONLY_DIRECTORIES
)  # fmt: skip
_OTHER_PLACES: Final = _DELETE_SELF | _MOVE_SELF | _OVERFLOW | _IGNORED | _IS_DIRECTORY
_event: Final = struct.Struct("iIII")  # watch, mask, cookie, length of the name after it
_EVENTS_BYTES: Final = 1 << 16
_QUIET_S: Final = 0.02  # a burst is over after this long without events,
_PIECES: Final = 5  # and is reported in any case after this many such periods
_libc: Final = ctypes.CDLL(None, use_errno=True)


async def changes(path: Path) -> AsyncGenerator[None, None]:
    """Yield at once, then after each change of the file or directory *path*, which may come and go.

    A burst is reported once. Hidden directories and targets of links are not watched.
    OSError if it cannot be watched, e.g. if its parent does not exist.
    """
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    watch = _Watch(path)

    def read() -> None:
        if watch.read():
            told.set()

    try:
        watch.renew()
        loop.add_reader(watch.descriptor, read)
        yield  # for earlier changes
        while True:
            await told.wait()
            for _ in range(_PIECES):
                told.clear()
                await asyncio.sleep(_QUIET_S)
                if not told.is_set():
                    break
            told.clear()
            if watch.outdated:
                watch.renew()
            yield
    finally:
        loop.remove_reader(watch.descriptor)
        watch.close()


class _Watch:
    """inotify's watches of *path*, of its parent, and of the directories below it.

    *outdated* is whether directories have come or gone since `renew`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.descriptor = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), path)
        self._parent = 0
        self._watches: set[int] = set()
        self.outdated = False

    def close(self) -> None:
        os.close(self.descriptor)

    def renew(self) -> None:
        """Watch exactly the existing directories; OSError if one cannot be watched."""
        self.outdated = False
        before = self._watches
        self._parent = self._add(self._path.parent)
        self._watches = {self._parent, *self._below()}
        for gone in before - self._watches:
            _libc.inotify_rm_watch(self.descriptor, gone)

    def _below(self) -> Iterator[int]:
        for at, folders, _ in os.walk(self._path):
            with suppress(FileNotFoundError, NotADirectoryError):  # gone: an event will report it
                yield self._add(Path(at))
            folders[:] = [name for name in folders if not name.startswith(".")]

    def _add(self, directory: Path) -> int:
        name = os.fsencode(directory)
        return _checked(_libc.inotify_add_watch(self.descriptor, name, _TOLD), directory)

    def read(self) -> bool:
        """Read the events; return whether any was about *path*."""
        concerned = False
        with suppress(BlockingIOError):
            for watch, mask, name in _events(os.read(self.descriptor, _EVENTS_BYTES)):
                at_parent = watch == self._parent and not mask & (_DELETE_SELF | _MOVE_SELF)
                if at_parent and name and name != os.fsencode(self._path.name):
                    continue
                if watch not in self._watches and not mask & _OVERFLOW:
                    continue  # of a removed watch
                concerned = True
                self.outdated |= at_parent or bool(mask & _OTHER_PLACES)
        return concerned


def _events(told: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield watch, mask and name of each event."""
    at = 0
    while at < len(told):
        watch, mask, _, length = _event.unpack_from(told, at)
        at += _event.size + length
        yield watch, mask, told[at - length : at].rstrip(b"\0")


def _checked(result: int, path: Path) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(path))
    return result
