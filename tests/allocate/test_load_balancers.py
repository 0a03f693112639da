"""Addresses of load balancers: the fixed one, the one it has, or a pool's; for life."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.allocate import Allocations, Lock, allocate
from groundplane.documents.catalog import Catalog, DocumentKey, Object
from groundplane.documents.service import LOAD_BALANCER_CLASS
from groundplane.documents.site import Cluster, Dns
from tests.allocate.balanced import (
    NODE,
    POOL4,
    POOL6,
    PUBLIC,
    allocated,
    faults,
    load_balancer,
    noted,
    site,
)
from tests.catalogs import catalog, node, service

V4, V6 = "10.96.0.0/24", "fd00:10:96::/112"
WEB, DB = ("default", "web"), ("default", "db")


def held(**given_: str) -> Lock:
    """Return a lock in which load balancers have addresses."""
    return Lock(
        {DocumentKey("LoadBalancer", "default", name): (text,) for name, text in given_.items()}
    )


@dataclass(frozen=True)
class Draw:
    """Load balancers by name, those of them that want the pool `lab`, and where they are."""

    names: frozenset[str]
    lab: frozenset[str]

    def objects(self) -> list[Object]:
        objects: list[Object] = [
            site(V4, V6, public=(POOL4, "203.0.113.64/31", POOL6), lab=("203.0.113.16/28",)),
            NODE,
            service("fixed", external_ips=("203.0.113.3",)),
        ]
        for name in sorted(self.names):
            web = load_balancer(name, ip_family_policy="PreferDualStack")
            objects.append(noted(web, load_balancer_pool="lab") if name in self.lab else web)
        return objects

    def catalog(self) -> Catalog:
        return catalog(*self.objects())


_NAMES = st.frozensets(st.sampled_from("abcdefghij"), max_size=6)
DRAWS = st.builds(Draw, _NAMES, _NAMES)
HISTORIES = st.lists(DRAWS, max_size=3)


def after(history: Iterable[Draw]) -> Lock:
    """Return the lock once each draw of *history* was allocated, one after the other."""
    lock = Lock()
    for each in history:
        lock = allocate(each.catalog(), lock).lock
    return lock


def addresses(found: Allocations) -> list[str]:
    return [text for each in found.load_balancers.values() for text in each]


@given(draw=DRAWS, history=HISTORIES, random=st.randoms(use_true_random=False))
def test_addresses_do_not_depend_on_the_order_of_objects(
    draw: Draw, history: list[Draw], random: Random
) -> None:
    lock, objects = after(history), draw.objects()
    random.shuffle(objects)
    assert allocate(catalog(*objects), lock) == allocate(draw.catalog(), lock)


@given(draw=DRAWS, history=HISTORIES)
def test_allocating_with_the_resulting_lock_changes_nothing(
    draw: Draw, history: list[Draw]
) -> None:
    first = allocate(draw.catalog(), after(history))
    assert allocate(draw.catalog(), first.lock) == first


@given(draw=DRAWS, history=HISTORIES)
def test_no_address_is_given_twice_and_none_that_is_fixed(draw: Draw, history: list[Draw]) -> None:
    given_ = addresses(allocate(draw.catalog(), after(history)))
    assert len(given_) == len(set(given_))
    assert "203.0.113.3" not in given_


@given(before=DRAWS, now=DRAWS)
def test_no_change_of_others_renumbers_one(before: Draw, now: Draw) -> None:
    old = allocate(before.catalog(), Lock())
    new = allocate(now.catalog(), old.lock)
    same = {n for n in before.names & now.names if (n in before.lab) == (n in now.lab)}
    assert {n: new.load_balancers["default", n] for n in same} == {
        n: old.load_balancers["default", n] for n in same
    }


@given(draw=DRAWS, history=HISTORIES)
def test_an_address_is_one_of_the_pool_that_is_named_or_of_any(
    draw: Draw, history: list[Draw]
) -> None:
    """Without the network and broadcast addresses, but with both of a /31."""
    found = allocate(draw.catalog(), after(history))
    pools = [POOL4, "203.0.113.64/31", "203.0.113.16/28"]
    unusable = {f"203.0.113.{n}" for n in (0, 7, 16, 31)} | {"2001:db8:1::"}
    for name in draw.names:
        lab = name in draw.lab
        ipv4, *ipv6 = found.load_balancers["default", name]
        assert any(ip_address(ipv4) in ip_network(cidr) for cidr in (pools[2:] if lab else pools))
        assert [ip_address(text) in ip_network(POOL6) for text in ipv6] == ([] if lab else [True])
        assert unusable.isdisjoint((ipv4, *ipv6))


@given(history=st.lists(_NAMES, max_size=8))
def test_a_released_address_is_reused_last_and_longest_released_first(
    history: list[frozenset[str]],
) -> None:
    """Over all ranges of a pool, and over all pools."""
    cluster, lock = site(a=("203.0.113.0/31", "203.0.113.4/31"), b=("203.0.113.8/31",)), Lock()
    usable = {f"203.0.113.{n}" for n in (0, 1, 4, 5, 8, 9)}
    for names in history:
        found = allocated(*map(load_balancer, names), lock=lock, cluster=cluster)
        in_use = set(addresses(found))
        released = {text: turn for text, turn in lock.released.items() if text in usable}
        reused = [turn for text, turn in released.items() if text in in_use]
        resting = [turn for text, turn in released.items() if text not in in_use]
        before = {text for texts in lock.held.values() for text in texts}
        assert not (reused and usable - in_use - released.keys() - before)
        assert max(reused, default=0) <= min(resting, default=99)
        lock = found.lock


def test_pools_are_used_in_their_order() -> None:
    cluster = site(b=("203.0.113.0/31",), a=("203.0.113.4/31",))
    found = allocated(*(load_balancer(f"s{n}") for n in range(3)), cluster=cluster)
    assert sorted(addresses(found))[:2] == ["203.0.113.0", "203.0.113.1"]


def test_all_of_a_pool_that_is_written_by_its_ends_is_given() -> None:
    """Its ends are addresses that somebody wrote, not those of a network and a broadcast."""
    cluster = site(a=("203.0.113.4-203.0.113.7",))
    found = allocated(*(load_balancer(f"s{n}") for n in range(4)), cluster=cluster)
    assert sorted(addresses(found)) == [f"203.0.113.{n}" for n in range(4, 8)]


def test_a_service_has_an_address_of_each_of_its_families_in_its_order() -> None:
    spec = {"ip_family_policy": "RequireDualStack", "ip_families": ("IPv6", "IPv4")}
    found = allocated(load_balancer("web", **spec), cluster=site(V4, V6, public=PUBLIC))
    first, second = found.load_balancers[WEB]
    assert ip_address(first) in ip_network(POOL6)
    assert ip_address(second) in ip_network(POOL4)
    assert found.lock.held[DocumentKey("LoadBalancer", *WEB)] == (first, second)


@pytest.mark.parametrize(
    ("cluster", "count"), [(site(V4, V6), 0), (site(V4, V6, public=(POOL6,)), 1)]
)
def test_without_a_pool_of_its_family_it_waits(cluster: Cluster, count: int) -> None:
    web = load_balancer("web", ip_family_policy="PreferDualStack")
    assert len(allocated(web, cluster=cluster).load_balancers[WEB]) == count


def test_only_load_balancers_of_ours_get_an_address() -> None:
    foreign = load_balancer("db", load_balancer_class="example.com/vip")
    found = allocated(
        load_balancer("web", load_balancer_class=LOAD_BALANCER_CLASS), foreign, service("plain")
    )
    assert {name: len(given_) for name, given_ in found.load_balancers.items()} == {
        WEB: 1,
        DB: 0,
        ("default", "plain"): 0,
    }


@pytest.mark.parametrize("text", ["203.0.113.5", "203.0.113.0", "198.51.100.7"])
def test_a_fixed_address_is_one_of_a_pool_or_of_external_ips(text: str) -> None:
    assert allocated(load_balancer("web", load_balancer_ip=text)).load_balancers[WEB] == (text,)
    web = noted(load_balancer("web"), load_balancer_ips=text)
    assert allocated(web).load_balancers[WEB] == (text,)


def test_the_family_that_is_not_fixed_comes_from_a_pool() -> None:
    web = load_balancer("web", ip_family_policy="PreferDualStack", load_balancer_ip="203.0.113.5")
    first, second = allocated(web, cluster=site(V4, V6, public=PUBLIC)).load_balancers[WEB]
    assert first == "203.0.113.5"
    assert ip_address(second) in ip_network(POOL6)


def test_a_fixed_address_is_written_as_all_others() -> None:
    web = load_balancer("web", load_balancer_ip="2001:0DB8:1:0::5")
    found = allocated(web, cluster=site(V6, public=PUBLIC))
    assert found.load_balancers[WEB] == ("2001:db8:1::5",)


def test_what_was_fixed_is_kept() -> None:
    first = allocated(load_balancer("web", load_balancer_ip="198.51.100.7"))
    assert allocated(load_balancer("web"), lock=first.lock).load_balancers[WEB] == ("198.51.100.7",)


def test_who_names_another_pool_leaves_the_address_behind() -> None:
    cluster = site(public=PUBLIC, lab=("203.0.113.16/28",))
    web = noted(load_balancer("web"), load_balancer_pool="lab")
    found = allocated(web, lock=held(web="203.0.113.3"), cluster=cluster)
    assert ip_address(found.load_balancers[WEB][0]) in ip_network("203.0.113.16/28")
    assert found.lock.released == {"203.0.113.3": 1}


def test_several_may_fix_one_address_each_with_ports_of_its_own() -> None:
    both = [load_balancer(name, load_balancer_ip="203.0.113.5") for name in ("web", "db")]
    found = allocated(*both)
    assert found.load_balancers == {WEB: ("203.0.113.5",), DB: ("203.0.113.5",)}
    assert allocated(*both, lock=found.lock) == found


def test_addresses_of_nodes_resolvers_and_external_ips_are_not_given() -> None:
    cluster = site(public=("203.0.113.0/29",))
    dns = Dns(forwarders=("203.0.113.1",))
    spec = msgspec.structs.replace(cluster.spec, dns=dns)
    objects: list[Object] = [
        msgspec.structs.replace(cluster, spec=spec),
        node("n1", "203.0.113.2"),
        service("fixed", external_ips=("203.0.113.3",)),
        *(load_balancer(f"s{n}") for n in range(3)),
    ]
    found = allocate(catalog(*objects), Lock())
    assert sorted(addresses(found)) == ["203.0.113.4", "203.0.113.5", "203.0.113.6"]


def test_a_pool_that_is_full_is_named() -> None:
    cluster = site(a=("203.0.113.0/32",), b=("203.0.113.4/32",))
    left = "address is left in load-balancer pool"
    lab = noted(load_balancer("x"), load_balancer_pool="a")
    assert faults(*(load_balancer(name) for name in "abc"), lab, cluster=cluster) == [
        f'Service/default/c: : no IPv4 {left} "a", "b"',
        f'Service/default/x: : no IPv4 {left} "a"',
    ]


def test_an_address_that_another_holds_is_refused_to_the_one_that_asks() -> None:
    web = load_balancer("web", load_balancer_ip="203.0.113.5")
    assert faults(load_balancer("db"), web, lock=held(db="203.0.113.5")) == [
        "Service/default/web: spec.loadBalancerIP: 203.0.113.5 is taken by Service/default/db"
    ]


def test_so_is_an_external_ip() -> None:
    web = service("web", external_ips=("203.0.113.4", "203.0.113.5"))
    assert faults(load_balancer("db"), web, lock=held(db="203.0.113.5")) == [
        "Service/default/web: spec.externalIPs[1]: 203.0.113.5 is taken by Service/default/db"
    ]


def test_an_address_that_a_merge_gave_twice_is_told_of() -> None:
    found = faults(
        load_balancer("db"), load_balancer("web"), lock=held(db="203.0.113.5", web="203.0.113.5")
    )
    assert found == [
        (
            "Service/default/web: : 203.0.113.5, which addresses.lock gives it, is taken by "
            "Service/default/db; an address is never changed automatically: delete the line of "
            "LoadBalancer/default/web in addresses.lock to have a new one"
        )
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("203.0.113.99", "is in no load-balancer pool and no range of externalIPCIDRs"),
        ("192.0.2.1", "is taken by Node/n1"),
    ],
)
def test_an_address_that_it_cannot_have_any_more_is_never_changed_in_silence(
    text: str, fault: str
) -> None:
    (found,) = faults(load_balancer("web"), lock=held(web=text))
    assert f"{text}, which addresses.lock gives it, {fault}; an address is never" in found
