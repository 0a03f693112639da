"""What packets see: who answers, with which source, and how it fails. One line a case."""

from typing import NamedTuple

import pytest

from tests.kernel.world import World, ask, run

pytestmark = pytest.mark.kernel

KEPT, MASQUERADED = "source kept", "masqueraded"
REFUSED, DROPPED = "refused", "dropped"
ALL = "abc"


class Case(NamedTuple):
    """From *client* to *service*:*port*: one of *expected* answers, and sees *source*."""

    client: str
    service: int  # the last part of the cluster IP, 10.96.0.N and fd00:96::N
    expected: str | tuple[str, ...]
    source: str = ""
    port: int = 80


CASES = [
    # from a workload: every endpoint, with the workload's own address
    Case("a", 12, ("c",), KEPT),
    Case("b", 11, ("a",), KEPT),  # the same bridge: translated back, kubernetes#38802
    Case("c", 11, ("a",), KEPT),
    Case("a", 13, ("n1", "n2"), KEPT),
    Case("c", 13, ("n1", "n2"), KEPT),
    # a workload that reaches itself
    Case("a", 11, ("a",), MASQUERADED),
    Case("c", 12, ("c",), MASQUERADED),
    # from nodes and from outside
    Case("n1", 11, ("a",), MASQUERADED),
    Case("n1", 12, ("c",), MASQUERADED),
    Case("n2", 11, ("a",), MASQUERADED),
    Case("n1", 13, ("n1", "n2")),
    Case("n1", 10, tuple(ALL), MASQUERADED),
    Case("n2", 10, tuple(ALL), MASQUERADED),
    Case("client", 10, tuple(ALL), MASQUERADED),
    Case("client", 12, ("c",), MASQUERADED),
    # the only endpoint is draining: it still serves
    Case("a", 15, ("n2",)),
    # nobody there
    Case("a", 14, REFUSED),
    Case("c", 14, REFUSED),
    Case("n1", 14, REFUSED),
    Case("client", 14, REFUSED),
    # a port that the service does not have; ssh listens on every address of every node
    Case("a", 10, REFUSED, port=22),
    Case("n1", 10, REFUSED, port=22),
    Case("n2", 13, REFUSED, port=22),
    Case("client", 10, REFUSED, port=22),
    # an address that no service has
    Case("a", 99, DROPPED),
    Case("n1", 99, DROPPED),
    Case("client", 99, DROPPED),
    Case("client", 99, DROPPED, port=22),
]


def _netns(net: World, place: str) -> str:
    if place == "client":
        return net.client
    return net.node(place) if place.startswith("n") else net.workload(place)


def _own_addresses(net: World, place: str) -> set[str]:
    if place == "client":
        return {"192.168.77.1", "fd77::1"}
    named = {n.name: n.addresses for n in net.site.nodes} | {
        w.name: w.addresses for w in net.site.workloads
    }
    return set(named[place])


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.client}-to-{c.service}:{c.port}")
def test_case(net: World, case: Case, family: str, protocol: str) -> None:
    address = f"10.96.0.{case.service}" if family == "IPv4" else f"fd00:96::{case.service}"
    times = 1 if isinstance(case.expected, str) else 12 * len(case.expected)
    patience = 0.3 if case.expected == DROPPED else 1.0
    answers = ask(
        _netns(net, case.client), address, case.port, protocol, times=times, patience=patience
    )
    if isinstance(case.expected, str):
        accepted = {case.expected}
        if case.expected == DROPPED and case.client.startswith("n"):
            accepted.add("Operation not permitted")  # a drop in the node's own output hook
            accepted.add(REFUSED)  # which is what sendto(2) of a datagram says for it
        assert set(answers) <= accepted
        return
    assert set(case.expected) == {answer.split()[0] for answer in answers}
    seen = {answer.split()[1] for answer in answers}
    own = _own_addresses(net, case.client)
    if case.source == KEPT:
        assert seen <= own
    if case.source == MASQUERADED:
        # A node's own connections may leave from any of its addresses, its bridge's too.
        assert not seen & (own if not case.client.startswith("n") else set())
        assert not any(each.startswith(("10.96.", "fd00:96::")) for each in seen)


@pytest.mark.parametrize("bridged", [0, 1])
@pytest.mark.parametrize("family", [4, 6])
def test_two_workloads_of_one_bridge_with_br_netfilter(
    net: World, family: int, bridged: int
) -> None:
    """Docker sets bridge-nf-call-iptables; translation back works with it and without."""
    name = "iptables" if family == 4 else "ip6tables"
    run(net.node("n1"), "sysctl", "-qw", f"net.bridge.bridge-nf-call-{name}={bridged}")
    address = "10.96.0.11" if family == 4 else "fd00:96::11"
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
        answers = ask(net.workload("b"), "10.244.1.10", 8080, "TCP")
    finally:
        run(net.workload("b"), "ip", "route", "del", "10.244.1.10/32", "dev", "eth0")
    assert answers[0] in ("dropped", "No route to host")
    assert ["a 10.244.1.11"] == ask(net.workload("b"), "10.244.1.10", 8080, "TCP")


def test_a_workload_cannot_take_another_address(net: World) -> None:
    run(net.workload("b"), "ip", "address", "add", "10.244.1.77/32", "dev", "eth0")
    try:
        run(net.workload("b"), "ip", "route", "replace", "10.244.2.10/32", "via", "10.244.1.1",
            "dev", "eth0", "onlink", "src", "10.244.1.77")  # fmt: skip
        assert ["dropped"] == ask(net.workload("b"), "10.244.2.10", 8080, "TCP")
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
