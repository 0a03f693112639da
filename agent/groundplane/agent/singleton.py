"""Instance lock: one agent per network namespace; two would undo each other's work.

The lock is a file in the runtime directory that only the agent's user and root may open. An
abstract unix address in the namespace also detects an agent with another runtime directory; any
user can bind it, so it counts only if the agent's user or root holds it.
"""

import errno
import fcntl
import logging
import os
import pwd
import socket
import stat
import struct
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, NamedTuple

from groundplane.errors import GroundplaneError

log = logging.getLogger(__name__)

LOCK_FILE: Final = "agent.lock"
AGENT_USER: Final = "groundplane"
_ADDRESS: Final = "\0groundplane/agent"
_FLAGS: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class _Holder(NamedTuple):
    pid: int
    uid: int


def become_the_agent(directory: Path) -> ExitStack:
    """Return a context that holds this namespace's lock until it is closed.

    *directory* is the runtime directory. GroundplaneError names the process that holds the lock.
    """
    with ExitStack() as held:
        path = directory / LOCK_FILE
        held.callback(os.close, _lock(path))
        held.callback(path.unlink, missing_ok=True)
        if place := _bind({0, os.geteuid(), os.stat(directory).st_uid, *_agents_uid()}):
            held.enter_context(place)
        return held.pop_all()


def _lock(path: Path) -> int:
    """Return the lock file, opened and locked, with this process's ID in it."""
    while True:
        file = _open(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, file):  # the last holder may have removed it in between
                os.ftruncate(file, 0)
                os.pwrite(file, b"%d\n" % os.getpid(), 0)
                return file
        except BlockingIOError:
            text = os.pread(file, 20, 0).strip()
            os.close(file)
            raise _taken(int(text) if text.isdigit() else 0) from None
        os.close(file)


def _is_at(path: Path, file: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(path.lstat(), os.fstat(file))
    return False


def _open(path: Path) -> int:
    """Return the lock file, opened; GroundplaneError if another user could hold or plant it."""
    directory = path.parent
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        file = _create(path, directory.stat())
    except OSError as error:
        raise GroundplaneError(f"{path}: {error.strerror}") from None
    found, above = os.fstat(file), directory.stat()
    if (
        above.st_mode & 0o022
        or found.st_mode & 0o077
        or not stat.S_ISREG(found.st_mode)
        or found.st_nlink > 1
        or found.st_uid not in (0, os.geteuid(), above.st_uid)
    ):
        os.close(file)
        raise GroundplaneError(
            f"{path}: other users could take this lock; make {directory} writable by the agent's"
            " user alone, and remove the file"
        )
    return file


def _create(path: Path, above: os.stat_result) -> int:
    """Return *path* opened; a new file belongs to the owner of its directory, the agent's user."""
    while True:
        with suppress(FileExistsError):
            file = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            if os.geteuid() == 0:  # `agent cleanup` may come before the agent, which has to open it
                os.fchown(file, above.st_uid, above.st_gid)
            return file
        with suppress(FileNotFoundError):  # the last holder has removed it in between
            return os.open(path, _FLAGS)


def _bind(trusted: set[int]) -> socket.socket | None:
    """Return a socket bound to the namespace's address; None if an untrusted user holds it."""
    place = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        place.bind(_ADDRESS)
        place.listen()
    except OSError as error:
        place.close()
        if error.errno != errno.EADDRINUSE:
            raise
    else:
        return place
    holder = _holder()
    if holder and holder.uid in trusted:
        raise _taken(holder.pid)
    who = f"user {holder.uid}, process {holder.pid}" if holder else "an unknown user"
    log.warning("%s holds the address of this network namespace's agent", who)
    return None


def _holder() -> _Holder | None:
    """Return the process that listens at the address; None if none does, or its queue is full."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(0)  # nobody accepts: after many asked there is no room
            asking.connect(_ADDRESS)
            pid, uid, _ = struct.unpack(
                "=iII", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            )
    except OSError:
        return None
    return _Holder(pid, uid)


def _agents_uid() -> set[int]:
    with suppress(KeyError):
        return {pwd.getpwnam(AGENT_USER).pw_uid}
    return set()


def _taken(pid: int) -> GroundplaneError:
    by = f" (pid {pid})" if pid else ""
    return GroundplaneError(
        f"an agent runs on this node already{by}; two would undo each other's work"
    )
