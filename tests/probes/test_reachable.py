"""Whether anybody is reached, asked of real hosts: this one, and namespaces beside it."""

import asyncio
import os
import shutil
import subprocess
import sys

import pytest

from groundplane.probes.reachable import reachable
from tests.kernel.spaces import namespace
from tests.kernel.world import ip
from tests.waiting import until


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("::1",), ("192.0.2.77", "127.0.0.1")])
def test_a_host_that_refuses_is_reached(addresses: tuple[str, ...]) -> None:
    assert asyncio.run(reachable(addresses))


def test_nobody_is_reached_where_nobody_is_asked() -> None:
    assert not asyncio.run(reachable(()))


ASK = """
import asyncio, sys
from groundplane.probes.reachable import gateways, reachable
print(asyncio.run(reachable(sys.argv[1:])), *gateways())
"""


def ask(space: str, *addresses: str) -> str:
    command = ["ip", "netns", "exec", space, sys.executable, "-c", ASK, *addresses]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.kernel
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nft"), reason="needs root and nft")
def test_a_peer_is_reached_until_the_link_is_cut() -> None:
    """For two seconds longer: a neighbour that was heard of just now counts."""
    with namespace("pa") as one, namespace("pb") as other:
        ip(
            f"-n {one} link add veth type veth peer name veth netns {other}",
            f"-n {one} address add 192.0.2.1/24 dev veth",
            f"-n {other} address add 192.0.2.2/24 dev veth",
            f"-n {one} link set veth up",
            f"-n {other} link set veth up",
            f"-n {one} route add default via 192.0.2.2",
        )
        assert "True 192.0.2.2" == ask(one, "192.0.2.2")
        ip(f"-n {other} link set veth down")
        until(lambda: not ask(one, "192.0.2.2", "192.0.2.3").startswith("True"))
