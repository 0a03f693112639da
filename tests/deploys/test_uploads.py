"""What another user than root uploads, over a real ssh: nobody else reads it, and nothing stays."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.sources.sshd import Sshd, running, sshd
from tests.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="sshd needs root"),
]

ROOT = Path(__file__).parent.parent.parent
USER, UID = "deployer", 50_000 + os.getpid() % 10_000  # /tmp is shared with other tests
CATALOG = """\
apiVersion: groundplane/v1
kind: Cluster
metadata: {{name: lab}}
spec: {{serviceCIDRs: [10.96.0.0/24], workloadCIDRs: [{{cidr: 10.244.0.0/16, nodePrefix: 24}}]}}
---
apiVersion: groundplane/v1
kind: Node
metadata: {{name: n1}}
spec:
  addresses: [192.0.2.1]
  management: {{host: 127.0.0.1, port: {port}, user: {user}, keyFile: "{key}"}}
"""
INVENTORY = """\
from pathlib import Path
from groundplane_deploys.hosts import groups_of
from groundplane.compile.pipeline import read_catalog
pinned = {{"ssh_known_hosts_file": "{directory}/known hosts"}}
nodes = [
    (name, data | pinned)
    for name, data in groups_of(read_catalog(Path("{directory}/catalog")))["nodes"]
]
"""
DEPLOY = """\
from io import StringIO
from pyinfra.api import FileUploadCommand, operation
from pyinfra.operations import files

@operation()
def own():
    yield FileUploadCommand(StringIO("a token"), "{home}/token")

files.put(name="a file", src=StringIO("a key"), dest="{home}/key", mode="600")
own(name="one of ours")
"""
# In place of sudo it notes what others see of the upload: it changes no user.
SUDO = """\
#!/bin/sh
while case $1 in -*) true;; *) false;; esac; do shift; done
case "$*" in *" cp "*|*"'cp "*|*"cp /"*)
  for each in /tmp/groundplane-* /tmp/pyinfra-*; do
    [ ! -O "$each" ] || stat -c '%F %a %U %n' "$each"
  done >>{home}/seen
  touch {home}/copying
  [ ! -e {home}/hang ] || sleep 1000
esac
exec "$@"
"""


class Host:
    """A host whose management user is not root."""

    def __init__(self, directory: Path, server: Sshd) -> None:
        self.directory, self.home = directory, directory / "home"
        self.home.mkdir()
        (directory / "catalog").mkdir()
        key = directory / "a key"
        catalog = CATALOG.format(port=server.port, user=USER, key=key)
        (directory / "catalog" / "site.yaml").write_text(catalog)
        (directory / "inventory.py").write_text(INVENTORY.format(directory=directory))
        (directory / "deploy.py").write_text(DEPLOY.format(home=self.home))
        sudo = directory / "bin" / "sudo"
        sudo.parent.mkdir()
        sudo.write_text(SUDO.format(home=self.home))
        sudo.chmod(0o755)
        os.chown(self.home, UID, UID)

    @contextmanager
    def deploying(self) -> Iterator[subprocess.Popen[str]]:
        command = [
            str(Path(sys.executable).with_name("pyinfra")),
            "-y",
            "inventory.py",
            "deploy.py",
        ]
        path = os.pathsep.join([str(ROOT / "agent"), str(ROOT)])
        with subprocess.Popen(
            command,
            cwd=self.directory,
            env=os.environ | {"PYTHONPATH": path},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as run:
            try:
                yield run
            finally:
                run.kill()

    def deploy(self) -> None:
        with self.deploying() as run:
            output = run.communicate()[0]
        assert 0 == run.returncode, output

    def left(self) -> list[Path]:
        """Return what the user has in /tmp."""
        found = []
        for each in Path("/tmp").iterdir():
            with suppress(FileNotFoundError):  # it goes while we look
                if each.lstat().st_uid == UID:
                    found.append(each)
        return found


@pytest.fixture
def host() -> Iterator[Host]:
    directory = Path(tempfile.mkdtemp(prefix="uploads-", dir="/var/tmp"))
    directory.chmod(0o755)
    server = sshd(directory)
    with (directory / "passwd").open("a") as users:
        users.write(f"{USER}:*:{UID}:{UID}::{directory}/home:/bin/sh\n")
    with (directory / "sshd_config").open("a") as config:
        config.write(f"Subsystem sftp internal-sftp\nSetEnv PATH={directory}/bin:/usr/bin:/bin\n")
    public = (directory / "a key.pub").read_text()
    (directory / "authorized").write_text(f"restrict {public}")
    try:
        with running(server):
            yield Host(directory, server)
    finally:
        shutil.rmtree(directory)


def test_an_upload_lies_in_a_directory_of_its_user_alone_and_then_nowhere(host: Host) -> None:
    host.deploy()
    assert "a key" == (host.home / "key").read_text()
    assert "a token" == (host.home / "token").read_text()
    seen = (host.home / "seen").read_text().splitlines()
    assert 2 == len(seen)
    assert {"directory 700 " + USER} == {line.rsplit(" ", 1)[0] for line in seen}, seen
    until(lambda: host.left() == [])


def test_nothing_stays_of_a_run_that_is_killed(host: Host) -> None:
    (host.home / "hang").touch()
    with host.deploying() as run:
        until((host.home / "copying").exists)
        (directory,) = host.left()
        assert ["a key"] == [each.read_text() for each in directory.iterdir()]
        run.send_signal(signal.SIGKILL)
    until(lambda: host.left() == [])


def test_what_others_planted_is_neither_followed_nor_in_the_way(host: Host) -> None:
    """pyinfra's own names: of the file's path."""
    other = host.home / "other"
    other.write_text("theirs")
    os.chown(other, UID, UID)
    paths = (str(host.home / name).encode() for name in ("key", "token"))
    names = (hashlib.sha1(each, usedforsecurity=False).hexdigest() for each in paths)
    planted = [Path(f"/tmp/pyinfra-{name}") for name in names]
    for each in planted:
        each.symlink_to(other)
    try:
        host.deploy()
        assert "theirs" == other.read_text()
        assert "a token" == (host.home / "token").read_text()
    finally:
        for each in planted:
            each.unlink()
