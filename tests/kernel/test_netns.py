"""`groundplane.netns`, in a mount and a network namespace of its own. Needs root."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.states import BASE

pytestmark = pytest.mark.kernel

# /run/netns and /etc/netns are a tmpfs of the child's own, and end with it.
PROLOGUE = """
set -e
mount --make-rprivate /
mount -t tmpfs gpt-run /run
mkdir -p /run/netns
mount -t tmpfs gpt-etc /etc -o mode=755
mkdir /etc/netns
mount -t sysfs gpt-sys /sys
ip link set lo up
ip link add groundplane0 type bridge
ip link set groundplane0 up
"""
CALL = """
import sys, msgspec
from groundplane import netns
from groundplane.errors import GroundplaneError
from groundplane.project.state import NodeBase
base = msgspec.json.decode(sys.argv[2], type=NodeBase)
try:
    if sys.argv[1] == "up":
        netns.up(base, netns.find(base, "default-a"))
    else:
        netns.down("default-a")
except GroundplaneError as error:
    print("refused:", error)
"""
SHOW = """
echo namespaces: $(ls /run/netns)
echo links: $(ip -br link show | cut -d' ' -f1 | cut -d@ -f1 | sort)
echo config: $(find /etc/netns -mindepth 1 | sort)
"""
INTERFACE = BASE.workloads[0].interface
UP, DOWN = "groundplane up", "groundplane down"
THERE = [
    "namespaces: default-a",
    f"links: {' '.join(sorted(['groundplane0', INTERFACE, 'lo']))}",
    "config: /etc/netns/default-a /etc/netns/default-a/resolv.conf",
]
GONE = ["namespaces:", "links: groundplane0 lo", "config:"]


def done(*lines: str) -> list[str]:
    """Return what the shell *lines* print in namespaces of their own; `groundplane` is ours."""
    base = msgspec.json.encode(BASE).decode()
    call = f'groundplane() {{ \'{sys.executable}\' -c "$CALL" "$1" "$BASE"; }}'
    script = "\n".join([PROLOGUE, call, *lines])
    finished = subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-c", script],
        env={**os.environ, "CALL": CALL, "BASE": base},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()


def test_up_makes_namespace_link_and_resolver() -> None:
    assert THERE == done(UP, SHOW)


def test_a_workload_has_its_addresses_and_a_way_out() -> None:
    *_, addresses, route, route6, master = done(
        UP,
        "echo $(ip -n default-a -br address show dev eth0 | tr -s ' ')",
        "ip -n default-a route show default",
        "ip -n default-a -6 route show default",
        f"ip -j link show {INTERFACE}",
    )
    assert "10.244.1.10/32" in addresses
    assert "fd00:244:0:1::10/128" in addresses
    assert "via 10.244.1.1 dev eth0 onlink" in route
    assert "via fd00:244:0:1::1 dev eth0" in route6
    assert "groundplane0" == json.loads(master)[0]["master"]


def test_up_twice_is_the_same() -> None:
    assert THERE * 2 == done(UP, SHOW, UP, SHOW)


@pytest.mark.parametrize(
    "half",
    [
        "touch /run/netns/default-a",
        "ip netns add default-a",
        "mkdir -p /etc/netns/default-a",
        f"ip link add {INTERFACE} type veth peer name gpw-peer",
        f"ip netns add default-a; ip link add {INTERFACE} type veth peer name eth0 netns default-a",
        "groundplane up; ip -n default-a link set eth0 down",
        "groundplane up; ip -n default-a address flush dev eth0",
        "groundplane up; ip -n default-a address add 10.244.1.99/32 dev eth0",
        f"groundplane up; ip link set {INTERFACE} nomaster",
        "groundplane up; ip link del " + INTERFACE,
        "groundplane up; ip netns del default-a",
        # A process keeps the namespace, and with it the link, alive after its name is gone.
        "groundplane up; ip netns exec default-a sleep 3 & sleep 0.7; ip netns del default-a",
    ],
)
def test_what_is_half_done_is_completed(half: str) -> None:
    found = done(half, UP, SHOW, "ip -n default-a -br address show dev eth0; kill $! 2>&- || :")
    assert THERE == found[:3]
    assert "UP" in found[3]
    assert "10.244.1.10/32" in found[3]
    assert "10.244.1.99" not in found[3]


def test_an_address_that_the_workload_has_no_more_goes() -> None:
    old = "ip -n default-a address add 10.244.1.99/32 dev eth0"
    *_, shown = done(UP, old, UP, "echo $(ip -n default-a -br address show dev eth0)")
    assert "10.244.1.10/32" in shown
    assert "10.244.1.99" not in shown


def test_down_leaves_nothing_and_twice_is_the_same() -> None:
    assert GONE * 3 == done(DOWN, SHOW, UP, DOWN, SHOW, DOWN, SHOW)


@pytest.mark.parametrize("half", ["touch /run/netns/default-a", "ip netns add default-a"])
def test_down_removes_what_is_half_done(half: str) -> None:
    assert GONE == done(half, DOWN, SHOW)


def test_files_of_others_for_the_namespace_stay() -> None:
    found = done(UP, "touch /etc/netns/default-a/hosts", DOWN, SHOW)
    assert "config: /etc/netns/default-a /etc/netns/default-a/hosts" == found[-1]


def test_without_the_bridge_the_command_that_failed_is_told() -> None:
    (told,) = done("ip link del groundplane0", UP)
    assert told.startswith(f"refused: ip link set {INTERFACE} master groundplane0 up: ")


def test_nothing_of_the_machine_changes() -> None:
    before = sorted(os.listdir("/sys/class/net")), Path("/etc/netns/default-a").exists()
    done(UP)
    assert before == (sorted(os.listdir("/sys/class/net")), Path("/etc/netns/default-a").exists())
