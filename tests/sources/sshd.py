"""A real sshd on loopback, in namespaces of its own.

It wants a user and a directory in /run; and with the processes' namespace its connections end, too.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from groundplane.sources import Trust

_START = """
mount --bind "$1/passwd" /etc/passwd && mount -t tmpfs none /run && mkdir /run/sshd &&
exec "$2" -D -e -f "$1/sshd_config"
"""
# What a test writes into `before` is run before git is.
_SESSION = """#!/bin/sh
cd {directory}
[ ! -e before ] || . ./before
exec git-shell -c "$SSH_ORIGINAL_COMMAND"
"""
_USERS = """\
root:*:0:0::/nonexistent:/bin/sh
git:*:0:0::/nonexistent:/bin/sh
sshd:*:65533:65533::/run/sshd:/usr/sbin/nologin
"""


@dataclass(frozen=True)
class Sshd:
    """Its files are in *directory*: repositories too, and `before`."""

    directory: Path
    port: int

    @property
    def place(self) -> str:
        return f"git@127.0.0.1:{self.port}{self.directory}"

    @property
    def logins(self) -> int:
        """How often a key was exchanged and taken."""
        return (self.directory / "log").read_text().count("Accepted publickey ")

    def signal(self, number: int) -> None:
        """Send a signal to the processes of its connections."""
        (listening,) = _children(int((self.directory / "pid").read_text()))
        for pid in _children(listening):
            os.kill(pid, number)

    @property
    def trust(self) -> Trust:
        return Trust(key=self.directory / "a key", known_hosts=self.directory / "known hosts")


def key(path: Path) -> str:
    """Make a key at *path*; return its public half."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(command, check=True)
    return path.with_name(f"{path.name}.pub").read_text().strip()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def sshd(directory: Path) -> Sshd:
    """Return a server with a key of its own and a client that it takes; it does not run yet."""
    server = Sshd(directory, free_port())
    host = key(directory / "host")
    (directory / "known hosts").write_text(f"[127.0.0.1]:{server.port} {host}\n")
    session = directory / "session"
    session.write_text(_SESSION.format(directory=directory))
    session.chmod(0o755)
    client = key(directory / "a key")
    (directory / "authorized").write_text(f'restrict,command="{session}" {client}\n')
    (directory / "passwd").write_text(_USERS)
    (directory / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{server.port}\nHostKey {directory}/host\nPidFile none\n"
        f"AuthorizedKeysFile {directory}/authorized\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin yes\nPasswordAuthentication no\nMaxStartups 100\n"
    )
    return server


@contextmanager
def running(server: Sshd) -> Iterator[Sshd]:
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if os.geteuid() != 0 or program is None:
        pytest.skip("sshd needs root, and openssh-server")
    own = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    start = [*own, "sh", "-c", _START, "sh", str(server.directory), program]
    with (server.directory / "log").open("ab") as log, subprocess.Popen(start, stderr=log) as child:
        try:
            (server.directory / "pid").write_text(str(child.pid))
            _until(lambda: _listens(server.port), child)
            yield server
        finally:
            child.kill()
            _until(lambda: not _listens(server.port))


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _until(condition: Callable[[], bool], child: "subprocess.Popen[bytes] | None" = None) -> None:
    for _ in range(500):
        assert child is None or child.poll() is None, "sshd has ended"
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("sshd does not begin or end to listen")
