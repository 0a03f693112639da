"""`groundplane.node.workload_netns`, in a mount and a network namespace of its own. Needs root."""

import ctypes
import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from groundplane.errors import GroundplaneError
from groundplane.node import workload_netns
from tests.states import BASE

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

_NEWNS, _NEWNET = 0x20000, 0x40000000
# /run/netns and /etc/netns are on a tmpfs of the child's own, and end with it.
PROLOGUE = """
mount --make-rprivate /
mount -t tmpfs gpt-run /run
mount -t tmpfs gpt-etc /etc -o mode=755
mount -t sysfs gpt-sys /sys
mkdir /run/netns /etc/netns
touch /etc/resolv.conf
ip link set lo up
ip link add groundplane0 type bridge
ip link set groundplane0 up
"""
SHOW = """
echo namespaces: $(ls /run/netns)
echo links: $(ip -br link show | cut -d' ' -f1 | cut -d@ -f1 | sort)
echo config: $(find /etc/netns -mindepth 1 | sort)
"""
INTERFACE, MAC = BASE.workloads[0].interface, BASE.workloads[0].mac
UP, DOWN = "groundplane up", "groundplane down"
THERE = [
    "namespaces: default-a",
    f"links: {' '.join(sorted(['groundplane0', INTERFACE, 'lo']))}",
    "config: /etc/netns/default-a /etc/netns/default-a/resolv.conf",
]
GONE = ["namespaces:", "links: groundplane0 lo", "config:"]


def done(*steps: str) -> list[str]:
    """Return what *steps* print in namespaces of their own: shell commands, UP and DOWN."""
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            _child(output.fileno(), "; ".join([PROLOGUE, *steps]).split("; "))
        _, status = os.waitpid(child, 0)
        output.seek(0)
        text = output.read()
    assert status == 0, text
    return text.splitlines()


def _child(output: int, steps: list[str]) -> None:
    status = 1
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        if ctypes.CDLL(None).unshare(_NEWNS | _NEWNET) == 0:
            for step in steps:
                _step(step)
            status = 0
    finally:
        os._exit(status)


def _step(step: str) -> None:
    try:
        if step == UP:
            workload_netns.up(BASE, workload_netns.find(BASE, "default-a"))
        elif step == DOWN:
            workload_netns.down("default-a")
        else:
            subprocess.run(["sh", "-ec", step], check=True)
    except GroundplaneError as error:
        os.write(1, f"refused: {error}\n".encode())


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


def test_a_workload_asks_nobody_where_its_gateway_is() -> None:
    (*_, shown) = done(UP, "echo $(ip -n default-a neighbour show nud permanent dev eth0)")
    assert f"10.244.1.1 lladdr {BASE.bridge_mac} PERMANENT" in shown
    assert f"fd00:244:0:1::1 lladdr {BASE.bridge_mac} PERMANENT" in shown


INSIDE = "ip netns exec default-a"
ROUTERS = [f"net.ipv6.conf.{of}.accept_ra" for of in ("all", "default", "eth0")]
# As an earlier version made it: a hardware address of the kernel's, and a port that learns.
MADE_BEFORE = "; ".join(
    [
        UP,
        "ip -n default-a link set eth0 address 02:00:00:00:00:99",
        f"ip link set {INTERFACE} type bridge_slave learning on flood on",
        f"bridge fdb del {MAC} dev {INTERFACE} master",
        f"{INSIDE} sysctl -qw net.ipv6.conf.eth0.accept_ra=1",
    ]
)
SHOW_EACH = (
    f"echo --; bridge -d link show dev {INTERFACE}",
    f"echo --; bridge fdb show dev {INTERFACE}",
    "echo --; ip -n default-a -br link show dev eth0",
    f"echo --; {INSIDE} sysctl -n {' '.join(ROUTERS)}",
)


@pytest.mark.parametrize("before", ["true", MADE_BEFORE])
def test_the_bridge_learns_nothing_from_a_workload(before: str) -> None:
    port, entries, link, routers = (
        " ".join(part.split()) for part in "\n".join(done(before, UP, *SHOW_EACH)).split("--")[1:]
    )
    for setting in (
        "learning off",
        "flood off",
        "mcast_flood off",
        "bcast_flood off",
        "hairpin on",
    ):
        assert setting in port
    assert f"{MAC} master groundplane0 static" in entries
    assert MAC in link
    assert "0 0 0" == routers


def test_a_node_that_knew_another_hardware_address_sends_to_the_new_one() -> None:
    old = "ip neigh replace 10.244.1.10 lladdr 02:00:00:00:00:99 dev groundplane0 nud reachable"
    *_, four, six = done(
        UP,
        old,
        UP,
        "ip neigh show 10.244.1.10 dev groundplane0",
        "echo six: $(ip neigh show fd00:244:0:1::10 dev groundplane0)",
    )
    assert f"lladdr {MAC}" in four
    assert "six:" == six


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
        "groundplane up; ip netns exec default-a sleep 2 & sleep 0.2; ip netns del default-a",
    ],
)
def test_what_is_half_done_is_completed(half: str) -> None:
    found = done(half, UP, SHOW, "ip -n default-a -br address show dev eth0")
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
    assert told.startswith(f"refused: ip link set {INTERFACE} mtu 1500 master groundplane0 up: ")


def test_nothing_of_the_machine_changes() -> None:
    before = sorted(os.listdir("/sys/class/net")), Path("/etc/netns/default-a").exists()
    done(UP)
    assert before == (sorted(os.listdir("/sys/class/net")), Path("/etc/netns/default-a").exists())
