"""One agent in a network namespace. Needs root: namespaces."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from groundplane.agent.singleton import LOCK_FILE, become_the_agent
from groundplane.errors import GroundplaneError
from tests.kernel.spaces import namespace
from tests.kernel.world import within

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

HOLDING = (
    "import sys\nfrom pathlib import Path\nfrom groundplane.agent.singleton import become_the_agent\n"
    "place = become_the_agent(Path(sys.argv[1]))\nprint('held', flush=True)\ninput()\n"
)
PLANTING = (
    "import fcntl, os, socket, sys\nos.setgroups([])\nos.setgid(65534)\nos.setuid(65534)\n"
    "place = socket.socket(socket.AF_UNIX)\nplace.bind('\\0groundplane/agent')\n"
    "if sys.argv[1] == 'listen': place.listen(0)\n"
    "try: fcntl.flock(open(sys.argv[2]), fcntl.LOCK_EX)\nexcept OSError: pass\n"
    "print('held', flush=True)\ninput()\n"
)


@pytest.fixture
def netns() -> Iterator[str]:
    with namespace("sole") as made:
        yield made


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a runtime directory as systemd makes it, which every user may enter."""
    made = tmp_path / "run"
    made.mkdir(mode=0o755)
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    return made


def taking(netns: str, directory: Path) -> ExitStack:
    return within(netns, partial(become_the_agent, directory))


def told(pid: int) -> str:
    return f"an agent runs on this node already (pid {pid}); two would undo each other's work"


def refusal(netns: str, directory: Path) -> str:
    with pytest.raises(GroundplaneError) as refused:
        taking(netns, directory)
    return str(refused.value)


class Child:
    """A process that has run *script* with *arguments* as far as it holds what it takes."""

    def __init__(self, netns: str, script: str, *arguments: str) -> None:
        command = ["ip", "netns", "exec", netns, sys.executable, "-c", script, *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe)
        assert self.process.stdout is not None
        assert b"held\n" == self.process.stdout.readline()

    def __enter__(self) -> int:
        return self.process.pid  # ip becomes what it runs

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def test_a_second_one_refuses_and_names_the_first(netns: str, run: Path) -> None:
    with taking(netns, run):
        assert told(os.getpid()) == refusal(netns, run)
        assert told(os.getpid()) == refusal(netns, run)  # asking takes nothing away


def test_one_of_another_runtime_directory_refuses_as_well(netns: str, run: Path) -> None:
    with taking(netns, run):
        assert told(os.getpid()) == refusal(netns, run.with_name("other"))


def test_however_often_it_is_asked_it_refuses(netns: str, run: Path) -> None:
    """The address accepts no connection: those who asked fill its queue, and wait for nothing."""

    def ask() -> None:
        for _ in range(300):
            with pytest.raises(GroundplaneError, match="an agent runs on this node already"):
                become_the_agent(run)

    with taking(netns, run):
        within(netns, ask)


def test_the_place_is_free_when_the_first_one_lets_go(netns: str, run: Path) -> None:
    taking(netns, run).close()
    assert [] == list(run.iterdir())
    taking(netns, run).close()


def test_each_namespace_has_one_of_its_own(netns: str, run: Path) -> None:
    with namespace("sole-2") as other, taking(netns, run):
        taking(other, run.with_name("other")).close()
        assert refusal(netns, run)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_place_ends_with_its_process_however_that_ends(netns: str, run: Path, how: int) -> None:
    child = Child(netns, HOLDING, str(run))
    with child as pid:
        assert told(pid) == refusal(netns, run)
        child.process.send_signal(how)
        child.process.wait(5)
    assert (run / LOCK_FILE).exists()  # it was killed
    taking(netns, run).close()


@pytest.mark.parametrize("what", ["bind", "listen"])
def test_a_user_who_takes_the_address_keeps_no_agent_from_starting(
    netns: str, run: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Child(netns, PLANTING, what, str(run)), taking(netns, run):
        assert ["holds the address" in record.getMessage() for record in caplog.records] == [True]
        assert told(os.getpid()) == refusal(netns, run)


def test_no_other_user_can_lock_the_file(netns: str, run: Path) -> None:
    (run / LOCK_FILE).touch(mode=0o600)
    with Child(netns, PLANTING, "bind", str(run / LOCK_FILE)):
        taking(netns, run).close()


def link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "target")


def hard_link(path: Path) -> None:
    (path.parent.parent / "target").touch(mode=0o600)
    path.hardlink_to(path.parent.parent / "target")


def open_to_all(path: Path) -> None:
    path.touch()
    path.chmod(0o644)


def of_another(path: Path) -> None:
    path.touch(mode=0o600)
    os.chown(path, 65534, 65534)


def in_a_directory_of_all(path: Path) -> None:
    path.parent.chmod(0o777)


@pytest.mark.parametrize(
    "plant", [link, hard_link, os.mkfifo, open_to_all, of_another, in_a_directory_of_all]
)
def test_what_another_user_could_have_put_there_is_no_lock(
    netns: str, run: Path, plant: Callable[[Path], None]
) -> None:
    plant(run / LOCK_FILE)
    assert refusal(netns, run).startswith(f"{run / LOCK_FILE}: ")
    target = run.parent / "target"
    assert not target.exists() or target.read_bytes() == b""


def test_a_lock_that_root_makes_is_the_directorys_owners(netns: str, run: Path) -> None:
    """`agent cleanup` by root comes before the agent, which runs as a user of its own."""
    os.chown(run, 65534, 65534)
    with taking(netns, run):
        found = (run / LOCK_FILE).stat()
    assert (65534, 0o600) == (found.st_uid, found.st_mode & 0o777)
