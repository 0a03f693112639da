"""Addresses of the site's ranges that nobody has: a router and a node must not send them to and fro.

The outside client stands for the router: it leads the ranges to a node, whose default route leads back.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.kernel.spaces import namespace
from tests.kernel.world import World, ask, ip, run, sysctl

pytestmark = pytest.mark.kernel

# An external address that no service has, and one of a workload range that no node has.
UNUSED = ["203.0.113.60", "2001:db8:113::60", "10.244.99.1", "fd00:244:0:99::1"]


@pytest.fixture(autouse=True)
def _router(net: World) -> Iterator[None]:
    """Let the outside forward, and lead all of the workload ranges to a node."""
    sysctl(net.client, net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
    routes = ("10.244.0.0/16 via 192.168.77.11", "fd00:244::/48 via fd77::11")
    ip(*(f"-n {net.client} route add {each}" for each in routes))
    yield
    ip(*(f"-n {net.client} route del {each}" for each in routes))
    sysctl(net.client, net__ipv4__ip_forward=0, net__ipv6__conf__all__forwarding=0)


@contextmanager
def counted(net: World) -> Iterator[str]:
    """Count what n1 forwards to an unused address."""
    node = net.node("n1")
    addresses = " ".join(
        f"{'ip6' if ':' in each else 'ip'} daddr {each} counter;" for each in UNUSED
    )
    rules = (
        f"table inet seen {{ chain c {{ type filter hook forward priority -10; {addresses} }}; }}"
    )
    run(node, "nft", rules)
    yield node
    run(node, "nft", "delete table inet seen")


def packets(node: str) -> int:
    listed = run(node, "nft", "list", "table", "inet", "seen").split()
    return sum(int(listed[n + 1]) for n, word in enumerate(listed) if word == "packets")


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("address", UNUSED)
def test_a_packet_that_would_leave_where_it_came_from_is_refused(
    net: World, address: str, protocol: str
) -> None:
    with counted(net) as node:
        assert ["refused"] == ask(net.client, address, 80, protocol)
        assert 1 == packets(node)


@pytest.mark.parametrize(
    ("address", "workload"),
    [("203.0.113.61", "10.244.1.10"), ("2001:db8:113::61", "[fd00:244:0:1::10]")],
)
def test_what_others_translate_passes(net: World, address: str, workload: str) -> None:
    family = "ip6" if ":" in address else "ip"
    rules = (
        f"table {family} others {{ chain c {{ type nat hook prerouting priority -90; "
        f"{family} daddr {address} tcp dport 80 dnat to {workload}:8080; }}; }}"
    )
    run(net.node("n1"), "nft", rules)
    try:
        (answer,) = ask(net.client, address, 80, "TCP")
    finally:
        run(net.node("n1"), "nft", f"delete table {family} others")
    assert answer.startswith("a ")


def test_what_others_route_elsewhere_or_serve_passes(net: World) -> None:
    node = net.node("n1")
    with namespace("elsewhere") as elsewhere:
        ip(
            f"-n {node} link add others type veth peer name eth0 netns {elsewhere}",
            f"-n {node} link set others up",
            f"-n {node} address add 172.30.0.1/24 dev others",
            f"-n {elsewhere} link set eth0 up",
            f"-n {elsewhere} address add 172.30.0.2/24 dev eth0",
            f"-n {elsewhere} address add 203.0.113.62/32 dev lo",
            f"-n {elsewhere} route add default via 172.30.0.1",
            f"-n {node} route add 203.0.113.62/32 via 172.30.0.2",
            f"-n {node} address add 203.0.113.63/32 dev lo",
        )
        servers = [net.serve(elsewhere, "elsewhere", 8070), net.serve(node, "here", 8071)]
        try:
            assert ["elsewhere 192.168.77.1"] == ask(net.client, "203.0.113.62", 8070, "TCP")
            assert ["here 192.168.77.1"] == ask(net.client, "203.0.113.63", 8071, "TCP")
        finally:
            ip(f"-n {node} address del 203.0.113.63/32 dev lo", f"-n {node} link del others")
            for each in servers:
                each.close()


def test_workloads_of_other_nodes_are_reached_by_any_node(net: World) -> None:
    """Its packets come in and leave by one link, to an address that somebody has."""
    ip(f"-n {net.far} route add 10.244.2.10/32 via 192.168.77.11")
    try:
        assert ["c 192.168.77.2"] == ask(net.far, "10.244.2.10", 8080, "TCP")
    finally:
        ip(f"-n {net.far} route del 10.244.2.10/32 via 192.168.77.11")
