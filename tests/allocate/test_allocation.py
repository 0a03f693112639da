"""Addresses: the same everywhere, for life, each for one object."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.allocate import Allocations, Lock, allocate, require_current
from groundplane.documents.catalog import Catalog, DocumentKey, Object
from groundplane.errors import LockOutdated
from groundplane.net.address import bridge_address
from tests.catalogs import catalog, cluster, node, service, workload

V4, V6 = "10.96.0.0/27", "fd00:10:96::/112"
NODES = {"n1": ("192.0.2.1", "2001:db8::1"), "n2": ("192.0.2.2", "2001:db8::2")}


@dataclass(frozen=True)
class Draw:
    """A small site: its service ranges, the names of its services, and workloads by node."""

    ranges: tuple[str, ...]
    services: frozenset[str]
    workloads: Mapping[str, str]

    def objects(self) -> list[Object]:
        objects: list[Object] = [
            cluster(*self.ranges, nodes="10.244.0.0/24", prefix=28),
            *(node(name, *addresses[: len(self.ranges)]) for name, addresses in NODES.items()),
        ]
        policy = "PreferDualStack"
        objects += [service(name, ip_family_policy=policy) for name in sorted(self.services)]
        objects += [workload(name, on) for name, on in sorted(self.workloads.items())]
        return objects

    def catalog(self) -> Catalog:
        return catalog(*self.objects())


_SERVICES = st.frozensets(st.sampled_from([f"s{n}" for n in range(24)]))
_WORKLOADS = st.dictionaries(
    st.sampled_from([f"w{n}" for n in range(12)]), st.sampled_from(sorted(NODES))
)
_RANGES = st.sampled_from([(V4,), (V6,), (V4, V6), (V6, V4)])


def draws(ranges: st.SearchStrategy[tuple[str, ...]] = _RANGES) -> st.SearchStrategy[Draw]:
    return st.builds(Draw, ranges, _SERVICES, _WORKLOADS)


_DUAL_DRAWS = draws(st.just((V4, V6)))


def addresses(given_: Allocations) -> list[str]:
    """Return every address that is given to a service or a workload."""
    return [
        text
        for texts in (given_.cluster_ips, given_.workloads)
        for each in texts.values()
        for text in each
    ]


def after(history: Iterable[Draw]) -> Lock:
    """Return the lock once each draw of *history* was allocated, one after the other."""
    lock = Lock()
    for each in history:
        lock = allocate(each.catalog(), lock).lock
    return lock


HISTORIES = st.lists(_DUAL_DRAWS, max_size=3)


@given(draw=_DUAL_DRAWS, history=HISTORIES, random=st.randoms(use_true_random=False))
def test_addresses_do_not_depend_on_the_order_of_objects(
    draw: Draw, history: list[Draw], random: Random
) -> None:
    lock, objects = after(history), draw.objects()
    random.shuffle(objects)
    assert allocate(catalog(*objects), lock) == allocate(draw.catalog(), lock)


@given(draw=_DUAL_DRAWS, history=HISTORIES)
def test_allocating_with_the_resulting_lock_changes_nothing(
    draw: Draw, history: list[Draw]
) -> None:
    first = allocate(draw.catalog(), after(history))
    assert allocate(draw.catalog(), first.lock) == first
    require_current(allocate(draw.catalog(), first.lock), first.lock)


@given(before=_DUAL_DRAWS, now=_DUAL_DRAWS)
def test_no_change_of_other_objects_renumbers_one(before: Draw, now: Draw) -> None:
    old = allocate(before.catalog(), Lock())
    new = allocate(now.catalog(), old.lock)
    services = old.cluster_ips.keys() & new.cluster_ips.keys()
    workloads = {w for w, on in before.workloads.items() if now.workloads.get(w) == on}
    assert {s: new.cluster_ips[s] for s in services} == {s: old.cluster_ips[s] for s in services}
    assert [new.workloads["default", w] for w in workloads] == [
        old.workloads["default", w] for w in workloads
    ]
    assert new.subnets == old.subnets


@given(draw=_DUAL_DRAWS, history=HISTORIES)
def test_no_two_objects_share_an_address(draw: Draw, history: list[Draw]) -> None:
    given_ = addresses(allocate(draw.catalog(), after(history)))
    assert len(given_) == len(set(given_))


@given(draw=draws())
def test_every_object_has_an_address_of_each_family_in_the_sites_order(draw: Draw) -> None:
    found = allocate(draw.catalog(), Lock())
    families = [ip_network(cidr).version for cidr in draw.ranges]
    given_ = [*found.cluster_ips.values(), *found.workloads.values()]
    assert [[ip_address(text).version for text in each] for each in given_] == [families] * len(
        given_
    )


@given(draw=draws(), history=st.lists(draws(), max_size=2))
def test_every_address_is_a_hosts_in_its_range(draw: Draw, history: list[Draw]) -> None:
    lock = after([each for each in history if each.ranges == draw.ranges])
    found = allocate(draw.catalog(), lock)
    ranges = [*draw.ranges, *(subnet for each in found.subnets.values() for subnet in each)]
    unusable = {str(ip_network(cidr).network_address) for cidr in ranges}
    unusable |= {str(ip_network(cidr)[-1]) for cidr in ranges if "." in cidr}
    unusable |= {bridge_address(subnet) for each in found.subnets.values() for subnet in each}
    assert unusable.isdisjoint(addresses(found))
    for each in found.cluster_ips.values():
        assert [
            ip_address(text) in ip_network(c) for text, c in zip(each, draw.ranges, strict=True)
        ] == [True] * len(each)
    for (_, name), each in found.workloads.items():
        subnets = found.subnets[draw.workloads[name]]
        assert [
            ip_address(text) in ip_network(s) for text, s in zip(each, subnets, strict=True)
        ] == [True] * len(each)


@given(draw=draws(st.just((V4,))))
def test_the_static_band_is_entered_only_when_the_rest_is_full(draw: Draw) -> None:
    """KEP-3070: of a /27's 30 addresses the lowest 16 are left for explicit requests."""
    found = allocate(draw.catalog(), Lock())
    last = [int(text.rsplit(".")[-1]) for (text,) in found.cluster_ips.values()]
    assert len([n for n in last if n <= 16]) == max(0, len(last) - 14)


@given(history=st.lists(st.frozensets(st.sampled_from("abcdefghij"), max_size=6), max_size=8))
def test_a_released_address_is_reused_last_and_longest_released_first(
    history: list[frozenset[str]],
) -> None:
    usable = {f"10.96.0.{n}" for n in range(1, 7)}
    lock = Lock()
    for names in history:
        found = allocate(
            catalog(cluster("10.96.0.0/29"), node("n1", "192.0.2.1"), *map(service, names)), lock
        )
        in_use = set(addresses(found))
        reused = [turn for text, turn in lock.released.items() if text in in_use]
        resting = [turn for text, turn in lock.released.items() if text not in in_use]
        never_used = usable - in_use - lock.released.keys()
        before = {text for texts in lock.held.values() for text in texts}
        assert not (reused and never_used - before)
        assert max(reused, default=0) <= min(resting, default=99)
        lock = found.lock


def test_what_nobody_holds_any_more_is_released_in_turn() -> None:
    nodes: list[Object] = [cluster("10.96.0.0/24"), node("n1", "192.0.2.1")]
    first = allocate(catalog(*nodes, service("a"), service("b")), Lock())
    second = allocate(catalog(*nodes, service("b")), first.lock)
    third = allocate(catalog(*nodes), second.lock)
    assert third.lock.released == {
        first.cluster_ips["default", "a"][0]: 1,
        first.cluster_ips["default", "b"][0]: 2,
    }


def test_two_branches_that_add_services_seldom_pick_the_same_addresses() -> None:
    """The first candidate is a hash of the name, so that a merge of the two locks holds."""
    nodes: list[Object] = [cluster("10.96.0.0/16"), node("n1", "192.0.2.1")]
    one = allocate(catalog(*nodes, *(service(f"a{n}") for n in range(20))), Lock())
    other = allocate(catalog(*nodes, *(service(f"b{n}") for n in range(20))), Lock())
    assert set(addresses(one)).isdisjoint(addresses(other))


def test_a_headless_service_has_no_address() -> None:
    found = allocate(
        catalog(
            cluster("10.96.0.0/24"), node("n1", "192.0.2.1"), service("web", cluster_ip="None")
        ),
        Lock(),
    )
    assert found.cluster_ips == {("default", "web"): ()}
    assert DocumentKey("Service", "default", "web") not in found.lock.held


def test_an_external_name_has_no_address() -> None:
    web = service("web", type="ExternalName", external_name="a.example", selector={"a": "b"})
    found = allocate(catalog(cluster("10.96.0.0/24"), node("n1", "192.0.2.1"), web), Lock())
    assert found.cluster_ips == {("default", "web"): ()}
    assert DocumentKey("Service", "default", "web") not in found.lock.held


def test_a_workload_on_the_hosts_network_has_no_address_of_its_own() -> None:
    web = workload("web", "n1", host_network=True)
    found = allocate(catalog(cluster("10.96.0.0/24"), node("n1", "192.0.2.1"), web), Lock())
    assert found.workloads == {("default", "web"): ()}


def test_a_workload_that_moves_leaves_its_address_behind() -> None:
    nodes: list[Object] = [
        cluster("10.96.0.0/24"),
        node("n1", "192.0.2.1"),
        node("n2", "192.0.2.2"),
    ]
    old = allocate(catalog(*nodes, workload("web", "n1")), Lock())
    new = allocate(catalog(*nodes, workload("web", "n2")), old.lock)
    assert ip_address(new.workloads["default", "web"][0]) in ip_network(new.subnets["n2"][0])
    assert new.lock.released == {old.workloads["default", "web"][0]: 1}


def test_an_explicit_address_may_come_from_anywhere_in_the_range() -> None:
    nodes: list[Object] = [cluster("10.96.0.0/24"), node("n1", "192.0.2.1")]
    web = service("web", cluster_ip="10.96.0.1")
    assert allocate(catalog(*nodes, web), Lock()).cluster_ips["default", "web"] == ("10.96.0.1",)


def test_an_explicit_address_wins_over_the_locks() -> None:
    nodes: list[Object] = [cluster("10.96.0.0/24"), node("n1", "192.0.2.1")]
    lock = Lock({DocumentKey("Service", "default", "web"): ("10.96.0.99",)})
    found = allocate(catalog(*nodes, service("web", cluster_ip="10.96.0.7")), lock)
    assert found.cluster_ips["default", "web"] == ("10.96.0.7",)
    assert found.lock.released == {"10.96.0.99": 1}


@pytest.mark.parametrize(
    ("kept", "added", "message"),
    [
        (
            ["a"],
            ["a", "b"],
            "needs addresses for Service/default/b",
        ),
        (
            ["a", "b"],
            ["a"],
            "releases those of Service/default/b",
        ),
        (
            [],
            ["a", "b", "c", "d"],
            (
                "needs addresses for Service/default/a, Service/default/b, Service/default/c "
                "and others"
            ),
        ),
        (
            ["a"],
            ["b"],
            "needs addresses for Service/default/b and releases those of Service/default/a",
        ),
    ],
)
def test_an_agent_refuses_a_lock_that_would_change(
    kept: list[str], added: list[str], message: str
) -> None:
    nodes: list[Object] = [cluster("10.96.0.0/24"), node("n1", "192.0.2.1")]
    lock = allocate(catalog(*nodes, *map(service, kept)), Lock()).lock
    with pytest.raises(LockOutdated) as caught:
        require_current(allocate(catalog(*nodes, *map(service, added)), lock), lock)
    assert str(caught.value) == (
        f"addresses.lock is not up to date: the catalog {message}; run `groundplane allocate`"
    )


@pytest.mark.parametrize(
    ("subnet", "bridge"), [("10.244.7.0/24", "10.244.7.1"), ("fd00::/64", "fd00::1")]
)
def test_the_bridge_has_the_first_address_of_its_subnet(subnet: str, bridge: str) -> None:
    assert bridge_address(subnet) == bridge
