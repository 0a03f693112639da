"""One ssh connection for many polls: opening one costs the server more than answering a poll.

ssh creates it (ControlMaster) and leaves it to its own process, which ends after some idle time.
Credentials are checked only when it is created, so it is replaced when a credential file has
changed, and periodically: servers revoke keys, and names change their address.
"""

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from groundplane.sources.waits import Waits

_SOCKETS: Final = "ssh-*"


class SshConnection:
    """The connection whose socket is in *directory*, created with the content of *files*."""

    def __init__(self, directory: Path, files: Sequence[Path], waits: Waits) -> None:
        self._directory, self._files, self._waits = directory, files, waits
        self._made_with = ""
        self._old = 0.0  # time after which the connection is too old
        self.socket = ""  # its name in the directory, which is short enough for one; ssh makes it

    def is_there(self) -> bool:
        return (self._directory / self.socket).is_socket()

    async def renew(self) -> None:
        """Replace the connection if the files or its age require a new one."""
        found = _digest(self._files)
        if not found or found != self._made_with or time.monotonic() > self._old:
            await self.end()
        self._made_with = found

    async def end(self) -> None:
        """End this connection and those of earlier agents; pick a new socket name for the next."""
        for path in self._directory.glob(_SOCKETS):
            await _exit(path, self._waits.leaving)
            path.unlink(missing_ok=True)
        self.socket = f"ssh-{secrets.token_hex(4)}"
        self._old = time.monotonic() + self._waits.old


def _digest(files: Sequence[Path]) -> str:
    """Return the digest of the content of *files*; "" if one is unreadable."""
    try:
        contents = [hashlib.sha256(file.read_bytes()).digest() for file in files]
    except OSError:
        return ""
    return hashlib.sha256(b"".join(contents)).hexdigest()


async def _exit(socket: Path, within: float) -> None:
    """Let the process behind *socket* end; one that does not answer is left to end by itself."""
    child = await asyncio.create_subprocess_exec(
        *("ssh", "-F", "none", "-O", "exit", f"-oControlPath={socket.name}", "nowhere"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", os.defpath)},
        cwd=socket.parent,
    )
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
