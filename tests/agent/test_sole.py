"""One agent in a network namespace. Needs root: namespaces."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from groundplane.agent.sole import become_the_agent
from groundplane.errors import GroundplaneError
from tests.kernel.spaces import namespace
from tests.kernel.world import within

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

HOLDING = (
    "from groundplane.agent.sole import become_the_agent\n"
    "place = become_the_agent()\nprint('held', flush=True)\ninput()\n"
)


@pytest.fixture
def netns() -> Iterator[str]:
    with namespace("sole") as made:
        yield made


def told(pid: int) -> str:
    return f"an agent runs on this node already (pid {pid}); two would undo each other's work"


def refusal(netns: str) -> str:
    with pytest.raises(GroundplaneError) as refused:
        within(netns, become_the_agent)
    return str(refused.value)


def test_a_second_one_refuses_and_names_the_first(netns: str) -> None:
    with within(netns, become_the_agent):
        assert told(os.getpid()) == refusal(netns)
        assert told(os.getpid()) == refusal(netns)  # asking takes nothing away


def test_however_often_it_is_asked_it_refuses(netns: str) -> None:
    """The place accepts no connection: those who asked fill its queue, and wait for nothing."""

    def ask() -> None:
        for _ in range(300):
            with pytest.raises(GroundplaneError, match="an agent runs on this node already"):
                become_the_agent()

    with within(netns, become_the_agent):
        within(netns, ask)


def test_the_place_is_free_when_the_first_one_lets_go(netns: str) -> None:
    within(netns, become_the_agent).close()
    within(netns, become_the_agent).close()


def test_each_namespace_has_one_of_its_own(netns: str) -> None:
    with namespace("sole-2") as other, within(netns, become_the_agent):
        within(other, become_the_agent).close()
        assert refusal(netns)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_place_ends_with_its_process_however_that_ends(netns: str, how: int) -> None:
    command = ["ip", "netns", "exec", netns, sys.executable, "-c", HOLDING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        try:
            assert b"held\n" == first.stdout.readline()
            assert told(first.pid) == refusal(netns)  # ip becomes what it runs
        finally:
            first.send_signal(how)
            first.wait(5)
    within(netns, become_the_agent).close()
