"""The links dataplane and the kernel. Needs root: namespaces and routes."""

import json
import select
from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundplane.dataplanes.links import Links
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.errors import KernelRefused
from groundplane.project.state import NodeState, Peer
from tests.kernel import spaces
from tests.kernel.spaces import based
from tests.kernel.world import ip, run, within
from tests.states import BASE, state, states

pytestmark = pytest.mark.kernel


@pytest.fixture
def node() -> Iterator[str]:
    with spaces.node("links") as netns:
        yield netns


def apply(netns: str, wanted: NodeState) -> int:
    """Return how many routes a freshly started dataplane changes."""

    def change() -> int:
        plane = Links()
        try:
            return len(Reconciler(plane).apply(wanted))
        finally:
            plane.close()

    return within(netns, change)


def routes(netns: str, *of: str) -> list[str]:
    found = [
        f"{each['dst']} {each.get('gateway', each['dev'])}"
        for flag in ("-4", "-6")
        for each in json.loads(run(netns, "ip", "-j", flag, "route", "show", *of))
    ]
    return sorted(found)


def test_service_ranges_and_subnets_of_peers_have_routes(node: str) -> None:
    assert 8 == apply(node, state())
    assert [
        "10.244.2.0/24 192.0.2.2",
        "10.244.3.0/24 192.0.2.3",
        "10.96.0.0/24 groundplane0",
        "fd00:244:0:2::/64 2001:db8::2",
        "fd00:244:0:3::/64 2001:db8::3",
        "fd00:96::/112 groundplane0",
    ] == routes(node, "proto", "71")


@settings(
    max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(sequence=st.lists(states(), min_size=1, max_size=3))
def test_after_writing_the_difference_it_is_empty(node: str, sequence: list[NodeState]) -> None:
    for wanted in sequence:
        apply(node, wanted)
        assert 0 == apply(node, wanted)


def test_a_node_that_moved_or_left_takes_its_route_along(node: str) -> None:
    plane = within(node, Links)
    reconciler = Reconciler(plane)
    within(node, partial(reconciler.apply, state()))
    moved = (Peer("n2", ("192.0.2.22", "2001:db8::22"), BASE.peers[0].subnets),)
    assert 4 == len(within(node, partial(reconciler.apply, state(base=based(peers=moved)))))
    found = routes(node, "proto", "71")
    assert ["10.244.2.0/24 192.0.2.22"] == [each for each in found if each.startswith("10.244.")]
    plane.close()


@pytest.mark.parametrize("foreign", ["198.51.100.0/24 proto 71 table 100", "198.51.100.0/24"])
def test_routes_of_others_are_untouched(node: str, foreign: str) -> None:
    ip(f"-n {node} route add via 192.0.2.9 {foreign}")
    before = run(node, "ip", "route", "show", "table", "all", "198.51.100.0/24")
    for wanted in (state(), state(base=based(peers=()))):
        apply(node, wanted)
        assert before == run(node, "ip", "route", "show", "table", "all", "198.51.100.0/24")


def test_a_route_of_others_to_the_same_range_is_not_replaced(node: str) -> None:
    ip(f"-n {node} route add 10.244.2.0/24 via 192.0.2.9")
    with pytest.raises(KernelRefused) as refused:
        apply(node, state())
    expected = "no route to 10.244.2.0/24 via 192.0.2.2: a route of others is there"
    assert expected == str(refused.value)
    assert "10.244.2.0/24 192.0.2.9" in routes(node)
    assert "10.244.3.0/24 192.0.2.3" in routes(node), "the others are set all the same"


def test_a_default_route_with_our_number_is_removed_like_any_other(node: str) -> None:
    ip(f"-n {node} route add default via 192.0.2.9 proto 71")
    assert 9 == apply(node, state())
    assert 0 == apply(node, state())


def test_a_route_that_others_removed_is_set_again(node: str) -> None:
    apply(node, state())
    ip(f"-n {node} route del 10.244.2.0/24")
    assert 1 == apply(node, state())


def test_an_address_of_the_bridge_that_others_removed_is_given_again(node: str) -> None:
    apply(node, state())
    for address in ("10.244.1.1/24", "fd00:244:0:1::1/64"):
        ip(f"-n {node} address del {address} dev groundplane0")
    ip(f"-n {node} address add 203.0.113.1/32 dev groundplane0")  # no matter whose
    assert 2 <= apply(node, state())
    found = run(node, "ip", "-o", "address", "show", "dev", "groundplane0")
    for address in ("10.244.1.1/24", "fd00:244:0:1::1/64", "203.0.113.1/32"):
        assert f" {address} " in found
    assert "tentative" not in found
    assert 0 == apply(node, state())


def test_changes_of_routes_links_and_addresses_are_heard_of(node: str) -> None:
    plane = within(node, Links)
    within(node, partial(Reconciler(plane).apply, state()))
    heard = within(node, plane.listen)
    for change in (
        "route del 10.244.2.0/24",
        "-6 route del fd00:244:0:2::/64",
        "address del 10.244.1.1/24 dev groundplane0",
        "link set groundplane0 mtu 1400",
    ):
        plane.drift(BASE)
        assert ([], [], []) == select.select([heard], [], [], 0)
        ip(f"-n {node} {change}")
        assert ([heard], [], []) == select.select([heard], [], [], 1)
        assert plane.drift(BASE)
    plane.close()


@pytest.mark.parametrize(
    "change",
    [
        "route del 10.244.2.0/24",
        "route change 10.244.2.0/24 via 192.0.2.3 proto 71",
        "route add 10.244.9.0/24 via 192.0.2.3 proto 71",
        "-6 route del fd00:244:0:2::/64",
        "address del 10.244.1.1/24 dev groundplane0",
        "address del fd00:244:0:1::1/64 dev groundplane0",
        "link del groundplane0",
    ],
)
def test_a_change_that_nobody_told_of_shows_at_a_look(node: str, change: str) -> None:
    plane = within(node, Links)
    within(node, partial(Reconciler(plane).apply, state()))
    assert within(node, partial(plane.drift, BASE))  # it has written
    within(node, partial(plane.read, BASE))
    for others in ("route add 203.0.113.0/24 via 192.0.2.3", "address add 203.0.113.1/32 dev lo"):
        ip(f"-n {node} {others}")
    assert not within(node, partial(plane.drift, BASE))
    ip(f"-n {node} {change}")
    assert within(node, partial(plane.drift, BASE))
    plane.close()


def test_where_nothing_was_changed_a_look_reads_nothing(node: str) -> None:
    plane = within(node, Links)
    reconciler = Reconciler(plane)
    within(node, partial(reconciler.apply, state()))
    assert within(node, reconciler.drift)
    assert not within(node, partial(reconciler.apply, state()))
    assert not within(node, reconciler.drift)
    plane.close()


def test_without_the_bridge_the_error_says_who_makes_it(node: str) -> None:
    ip(f"-n {node} link del groundplane0")
    with pytest.raises(KernelRefused) as refused:
        apply(node, state())
    told = "bridge groundplane0 is missing; run the deploy"
    assert told == str(refused.value)
    assert 4 == len(routes(node, "proto", "71"))


def test_a_gateway_that_is_not_on_a_link_is_told(node: str) -> None:
    far = (Peer("n2", ("203.0.113.2",), ("10.244.2.0/24",)),)
    with pytest.raises(KernelRefused, match=r"no route to 10.244.2.0/24 via 203.0.113.2: .+"):
        apply(node, state(base=based(peers=far)))
