"""What packets see beside the cases of tests/conformance: the workloads' network, and shares."""

import pytest

from tests.kernel.world import World, ask, ip, run

pytestmark = pytest.mark.kernel

ALL = "abc"


@pytest.mark.parametrize("bridged", [0, 1])
@pytest.mark.parametrize("family", [4, 6])
def test_two_workloads_of_one_bridge_with_br_netfilter(
    net: World, family: int, bridged: int
) -> None:
    """Docker sets bridge-nf-call-iptables; translation back works with it and without."""
    name = "iptables" if family == 4 else "ip6tables"
    run(net.node("n1"), "sysctl", "-qw", f"net.bridge.bridge-nf-call-{name}={bridged}")
    address = "10.96.0.11" if family == 4 else "fd00:96::b"
    assert {"a"} == {
        answer.split()[0] for answer in ask(net.workload("b"), address, 80, "TCP", times=5)
    }
    assert {"a"} == {
        answer.split()[0] for answer in ask(net.workload("a"), address, 80, "TCP", times=5)
    }


def test_a_workload_cannot_pass_by_the_node(net: World) -> None:
    """An on-link route to a neighbour on the same bridge is a dead end (the guard)."""
    run(net.workload("b"), "ip", "route", "add", "10.244.1.10/32", "dev", "eth0")
    try:
        answers = ask(net.workload("b"), "10.244.1.10", 8080, "TCP", patience=1.0)
    finally:
        run(net.workload("b"), "ip", "route", "del", "10.244.1.10/32", "dev", "eth0")
    assert answers[0] in ("dropped", "No route to host")
    assert ["a 10.244.1.11"] == ask(net.workload("b"), "10.244.1.10", 8080, "TCP")


def test_a_workload_cannot_take_another_address(net: World) -> None:
    run(net.workload("b"), "ip", "address", "add", "10.244.1.77/32", "dev", "eth0")
    try:
        run(net.workload("b"), "ip", "route", "replace", "10.244.2.10/32", "via", "10.244.1.1",
            "dev", "eth0", "onlink", "src", "10.244.1.77")  # fmt: skip
        assert ["dropped"] == ask(net.workload("b"), "10.244.2.10", 8080, "TCP", patience=1.0)
    finally:
        run(net.workload("b"), "ip", "address", "del", "10.244.1.77/32", "dev", "eth0")


@pytest.mark.parametrize("address", ["192.168.77.1", "fd77::1"])
def test_traffic_to_the_outside_leaves_as_its_node(net: World, address: str) -> None:
    server = net.serve(net.client, "outside", 9999)
    try:
        seen = ask(net.workload("c"), address, 9999, "TCP")
    finally:
        server.close()
    assert ["outside 192.168.77.12" if "." in address else "outside fd77::12"] == seen


def test_workloads_reach_each_other_with_their_own_addresses(net: World) -> None:
    assert ["c 10.244.1.10"] == ask(net.workload("a"), "10.244.2.10", 8080, "TCP")
    assert ["a 10.244.2.10"] == ask(net.workload("c"), "10.244.1.10", 8080, "TCP")


def test_connections_spread_evenly(net: World) -> None:
    """Every endpoint within four standard deviations of its share of 1,000 connections."""
    answers = ask(net.workload("a"), "10.96.0.10", 80, "TCP", times=1000)
    shares = {name: sum(answer.startswith(name) for answer in answers) for name in ALL}
    deviation = (1000 * (1 / 3) * (2 / 3)) ** 0.5
    assert 1000 == sum(shares.values())
    assert all(abs(share - 1000 / 3) < 4 * deviation for share in shares.values()), shares


@pytest.mark.parametrize(
    ("service", "address", "expected"),
    [
        ("ranged-far", "203.0.113.22", "c"),  # its ranges have the node
        ("ranged-far", "2001:db8:113::16", "c"),
        ("ranged", "203.0.113.20", "dropped"),  # its ranges have not
    ],
)
def test_a_node_that_has_a_balancers_address_itself_is_let_in_where_the_node_is(
    net: World, service: str, address: str, expected: str
) -> None:
    """As by keepalived, or on a BGP speaker's loopback: it asks from that very address."""
    node, length = net.node("n1"), 32 if "." in address else 128
    ip(f"-n {node} address add {address}/{length} dev lo{'' if length == 32 else ' nodad'}")
    try:
        (answer,) = ask(node, address, 80, "TCP", patience=0.5)
    finally:
        ip(f"-n {node} address del {address}/{length} dev lo")
    dropped = ("dropped", "Operation not permitted")
    assert answer in dropped if expected == "dropped" else answer.startswith(f"{expected} ")
