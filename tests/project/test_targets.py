"""The packed targets of a service's ports: which endpoints, how often, in which family."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from groundplane.net.protocols import Family
from groundplane.project.select_endpoints import Place, select_endpoints
from groundplane.project.state import Targets
from groundplane.project.targets import targets
from groundplane.site import compiled
from groundplane.site.compiled import Endpoint, Port, columns
from groundplane.site.map_limits import HASH_SLOTS, MAX_STICKY_ENDPOINTS
from tests.states import target

TCP, UDP = Port("http", "TCP", 80), Port("dns", "UDP", 53)


def endpoint(
    ipv4: str, ipv6: str = "", node: str = "n1", port: int = 8080, **more: Any
) -> Endpoint:
    return Endpoint(ipv4 or ipv6, node, "", ipv4, ipv6, (port,), **more)


A, B, C = endpoint("10.244.1.10"), endpoint("10.244.1.11"), endpoint("10.244.2.10", node="n2")
LEAVING = A._replace(ready=False, terminating=True)
TO_A, TO_B, TO_C = (target(f"{each.ipv4}:8080") for each in (A, B, C))


HERE = Place("n1", "east")


def of(
    *endpoints: Endpoint,
    port: Port = TCP,
    family: Family = "IPv4",
    failing: str = "",
    **fields: Any,
) -> Targets:
    """Return the targets of a service of one port on n1."""
    plain = compiled.Service(
        "default", "web", ("IPv4", "IPv6"), ("10.96.0.5", "fd00::5"), (port,), columns(endpoints)
    )
    service = msgspec.structs.replace(plain, **fields)
    chosen = select_endpoints(service, HERE, frozenset({("default", failing)} if failing else ()))
    (found,) = targets(service, family, HERE, chosen)
    return found


def test_each_endpoint_is_a_target_once_in_order() -> None:
    assert Targets.of((TO_C, TO_A, TO_B)) == of(C, A, B)


def test_without_endpoints_there_is_none() -> None:
    assert Targets() == of()
    assert Targets() == of(A, family="IPv6")


def test_each_port_has_its_own_target_port() -> None:
    rows = [A._replace(targets=(8080, 5353, 0)), B._replace(targets=(8081, 5353, 9))]
    service = compiled.Service(
        "default", "web", ("IPv4",), ("10.96.0.5",), (TCP, UDP, TCP), columns(rows)
    )
    every = targets(service, "IPv4", HERE, select_endpoints(service, HERE, frozenset()))
    assert [
        (target("10.244.1.10:8080"), target("10.244.1.11:8081")),
        (target("10.244.1.10:5353"), target("10.244.1.11:5353")),
        (target("10.244.1.11:9"),),
    ] == [each.cluster for each in every]


@pytest.mark.parametrize(
    "lacking", [endpoint("", "fd00::9"), endpoint("10.244.1.99", port=0)], ids=["address", "port"]
)
@pytest.mark.parametrize("fields", [{}, {"consistent_hash": True}, {"affinity_seconds": 5}])
def test_an_endpoint_without_address_or_port_is_no_target(
    lacking: Endpoint, fields: dict[str, Any]
) -> None:
    found, alone = of(A, lacking, B, **fields), of(A, B, **fields)
    assert (alone.cluster, alone.numbers) == (found.cluster, found.numbers)
    assert {TO_A, TO_B} == {*found.cluster}


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.0", "10.0.0.1"],
        ["10.1.0.0", "0.0.10.1"],  # four zeros in a row, over two addresses
        ["fd00::", "fd00::1"],
        ["fd00:1::", "::fd00:1"],  # sixteen and more
    ],
)
def test_zeros_within_addresses_are_no_missing_ones(addresses: list[str]) -> None:
    family: Family = "IPv6" if ":" in addresses[0] else "IPv4"
    rows = [endpoint("", each) if ":" in each else endpoint(each) for each in addresses]
    assert tuple(target(f"{each}:8080") for each in addresses) == of(*rows, family=family).cluster


def test_two_endpoints_at_one_place_are_one_target_of_the_weight_of_both() -> None:
    twin = B._replace(workload="twin", weight=2)
    assert (TO_A, TO_B) == of(A, B, B._replace(workload="twin")).cluster
    assert Counter({TO_B: 3, TO_A: 1}) == Counter(of(A, B, twin).cluster)


def test_a_target_has_as_many_slots_as_its_weight_says() -> None:
    found = of(A._replace(weight=4), B._replace(weight=2), C._replace(weight=0)).cluster
    assert (TO_A, TO_A, TO_B) == found


def test_with_consistent_hashing_a_target_has_the_slots_of_the_table() -> None:
    found = of(A, B, C, consistent_hash=True).cluster
    assert HASH_SLOTS == len(found)
    assert {TO_A, TO_B, TO_C} == {*found}
    assert found == of(C, A, B, consistent_hash=True).cluster
    without = of(A, B, consistent_hash=True).cluster
    assert [] == [a for a, b in zip(found, without, strict=True) if a not in (TO_C, b)]


# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{"internal_local": True}, {"external_local": True}])
def test_local_are_those_of_this_node_where_a_policy_says_so(fields: dict[str, Any]) -> None:
    found = of(A, C, B, **fields)
    assert ((TO_A, TO_C, TO_B), (TO_A, TO_B)) == (found.cluster, found.local)
    assert () == of(A, C, B).local
    assert () == of(C, **fields).local


def test_local_has_weights_and_a_table_of_its_own() -> None:
    heavy = A._replace(weight=2)
    assert (TO_A, TO_A, TO_B) == of(heavy, C, B, external_local=True).local
    hashed = of(A, B, C, external_local=True, consistent_hash=True)
    assert HASH_SLOTS == len(hashed.local)
    assert {TO_A, TO_B} == {*hashed.local}


def test_where_only_draining_ones_are_here_they_are_local() -> None:
    found = of(LEAVING, C, external_local=True)
    assert ((TO_C,), (TO_A,)) == (found.cluster, found.local)


# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoints", "serving"),
    [
        ((A, B), None),
        ((A._replace(weight=3), B), None),
        ((LEAVING, B), {TO_A, TO_B}),
        ((A._replace(weight=0), B), {TO_A, TO_B}),
        ((LEAVING,), {TO_A}),
        ((A._replace(ready=False, serving=False), B), None),
    ],
)
def test_flows_of_udp_go_on_to_whoever_serves_said_where_that_is_more_than_cluster(
    endpoints: tuple[Endpoint, ...], serving: set[bytes] | None
) -> None:
    found = of(*endpoints, port=UDP).serving
    assert serving == (None if found is None else {*found})
    assert of(*endpoints, port=TCP).serving is None


def test_flows_of_udp_go_on_where_a_hint_prefers_others() -> None:
    near, far = A._replace(for_nodes=("n1",)), C._replace(for_nodes=("n2",))
    found = of(near, far, port=UDP)
    assert ((TO_A,), (TO_A, TO_C)) == (found.cluster, found.serving)


def test_flows_of_udp_to_one_that_was_given_no_slot_of_the_table_go_on() -> None:
    rows = [endpoint(f"10.244.1.{n}") for n in range(250)]
    found = of(*rows, port=UDP, consistent_hash=True)
    assert found.serving is not None
    assert len({*found.cluster}) < 250 == len(found.serving)


def test_a_workload_that_fails_serves_nothing() -> None:
    found = of(A, B, port=UDP, failing=A.workload)
    assert ((TO_B,), None) == (found.cluster, found.serving)


# ------------------------------------------------------------------------------------------------


def test_with_affinity_every_target_has_a_number_whatever_its_health() -> None:
    rows = (A, B._replace(ready=False, serving=False), C._replace(weight=0))
    found = of(*rows, affinity_seconds=5)
    assert found.numbers is not None
    assert {TO_A, TO_B, TO_C} == found.numbers.keys()
    assert found.numbers == of(A, B, C, affinity_seconds=5).numbers
    assert found.numbers == of(A, B, C, affinity_seconds=5, failing=A.workload).numbers
    assert 3 == len({*found.numbers.values()})
    assert max(found.numbers.values()) < MAX_STICKY_ENDPOINTS


def test_without_affinity_nobody_is_numbered() -> None:
    assert of(A).numbers is None


def test_the_choice_is_one_of_each_family() -> None:
    """What a ready endpoint of one family alone says is nothing to the other."""
    ready, draining = A, B._replace(ipv6="fd00:244:0:1::11", ready=False, terminating=True)
    assert (TO_A,) == of(ready, draining).cluster
    assert (target("fd00:244:0:1::11:8080"),) == of(ready, draining, family="IPv6").cluster


def test_hints_count_in_the_family_of_their_endpoint() -> None:
    near = A._replace(ipv6="", for_zones=("east",))
    far = B._replace(ipv6="fd00:244:0:1::11", for_zones=("west",))
    assert (TO_A,) == of(near, far).cluster
    assert (target("fd00:244:0:1::11:8080"),) == of(near, far, family="IPv6").cluster


def test_the_choice_is_one_of_each_port() -> None:
    lacking, draining = A._replace(targets=(0,)), B._replace(ready=False, terminating=True)
    assert (TO_B,) == of(lacking, draining).cluster
