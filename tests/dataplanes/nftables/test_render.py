"""Parts to map elements, read as nft writes them."""

import re
import sys
from collections import Counter
from contextlib import closing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.dataplanes.nftables.maps import Element, host32, map_of
from groundplane.project.apportionment import numbers
from groundplane.project.node import project_service
from groundplane.project.state import (
    Member,
    NodeState,
    Targets,
    VirtualPort,
    VirtualService,
)
from groundplane.proxies.frontends import handle
from groundplane.proxies.nftables.classes import HASH, class_of
from groundplane.proxies.node import rules_of
from groundplane.site.compiled import Endpoint
from groundplane.site.map_limits import HASH_SLOTS, MAX_ENDPOINTS
from groundplane.site.map_sizes import sizes
from tests.dataplanes.nftables.rendered import FAR, NODE_PORT, OWN, lines, texts
from tests.rulesets import dataplane, framework, render
from tests.states import BASE, HERE, headless, of_family, service, services, states, target

WEB = service("web", ["10.96.0.5"], ["10.244.1.10:8080", "10.244.2.10:8080"], pool=0x12)


def test_a_service_is_its_address_its_port_and_a_slot_for_each_endpoint() -> None:
    assert [
        "ip cluster_ips 10.96.0.5 . tcp . 80 : 0x12002",
        "ip service_addresses 10.96.0.5",
        "ip slots 0x12000 . 0x0 : 10.244.1.10 . 8080",
        "ip slots 0x12000 . 0x1 : 10.244.2.10 . 8080",
    ] == texts(WEB)


def test_a_service_without_endpoints_has_the_handle_that_refuses() -> None:
    assert [
        "ip cluster_ips 10.96.0.5 . tcp . 80 : 0x12000",
        "ip service_addresses 10.96.0.5",
    ] == texts(service("web", ["10.96.0.5"], pool=0x12))


def test_each_family_counts_its_own_endpoints() -> None:
    two = service("web", ["fd00:96::5", "10.96.0.5"], ["10.244.1.10:80"], protocol="UDP")
    assert [
        "ip cluster_ips 10.96.0.5 . udp . 80 : 0x2001",
        "ip service_addresses 10.96.0.5",
        "ip slots 0x2000 . 0x0 : 10.244.1.10 . 80",
        "ip6 cluster_ips fd00:96::5 . udp . 80 : 0x2000",
        "ip6 service_addresses fd00:96::5",
    ] == texts(two)


def test_ports_of_a_service_have_a_pool_each() -> None:
    http = VirtualPort("http", "TCP", 80, 2, Targets.of((target("10.244.1.10:8080"),)))
    dns = VirtualPort("dns", "UDP", 80, 4, Targets.of((target("10.244.1.10:53"),)))
    assert [
        "ip cluster_ips 10.96.0.5 . tcp . 80 : 0x2001",
        "ip cluster_ips 10.96.0.5 . udp . 80 : 0x4001",
        "ip service_addresses 10.96.0.5",
        "ip slots 0x2000 . 0x0 : 10.244.1.10 . 8080",
        "ip slots 0x4000 . 0x0 : 10.244.1.10 . 53",
    ] == texts(VirtualService("default", "web", ("10.96.0.5",), (http, dns)))


@pytest.mark.parametrize(
    "part", [headless("db", Member("a", "10.244.1.10", (80,))), headless("none")]
)
def test_a_headless_service_has_no_element(part: VirtualService) -> None:
    assert {} == render(BASE, part)


def test_endpoints_behind_the_last_slot_are_left_out() -> None:
    many = [f"10.244.{n >> 8}.{n & 255}:80" for n in range(MAX_ENDPOINTS + 5)]
    found = texts(service("web", ["10.96.0.5"], many))
    assert MAX_ENDPOINTS == len([line for line in found if line.startswith("ip slots")])
    assert "ip cluster_ips 10.96.0.5 . tcp . 80 : 0x202a" in found


def test_the_base_is_the_nodes_and_what_this_node_connects() -> None:
    (workload,) = BASE.workloads
    port = f'"{workload.interface}" . {workload.mac}'
    assert [
        f"bridge announced_ip {port} . 10.244.1.10",
        f"bridge announced_ip6 {port} . 0xfd000244000000010000000000000010",
        f"bridge workloads_ip {port} . 10.244.1.10",
        f"bridge workloads_ip6 {port} . fd00:244:0:1::10",
        "ip hairpin 10.244.1.10 . 10.244.1.10",
        "ip nodes 192.0.2.1",
        "ip nodes 192.0.2.2",
        "ip nodes 192.0.2.3",
        "ip subnets 10.244.1.0",
        "ip subnets 10.244.2.0",
        "ip subnets 10.244.3.0",
        "ip6 hairpin fd00:244:0:1::10 . fd00:244:0:1::10",
        "ip6 nodes 2001:db8::1",
        "ip6 nodes 2001:db8::2",
        "ip6 nodes 2001:db8::3",
        "ip6 subnets fd00:244:0:1::",
        "ip6 subnets fd00:244:0:2::",
        "ip6 subnets fd00:244:0:3::",
    ] == texts(BASE)


@pytest.mark.parametrize(
    ("family", "tables"), [("IPv4", ("ip ", "bridge ")), ("IPv6", ("ip6 ", "bridge "))]
)
def test_a_site_of_one_family_has_elements_of_it_only(family: str, tables: tuple[str, ...]) -> None:
    assert [] == [line for line in texts(of_family(family)) if not line.startswith(tables)]


def test_a_node_that_is_gone_is_in_no_set() -> None:
    without = msgspec.structs.replace(BASE, peers=BASE.peers[:1])
    assert {
        "ip nodes 192.0.2.3",
        "ip6 nodes 2001:db8::3",
        "ip subnets 10.244.3.0",
        "ip6 subnets fd00:244:0:3::",
    } == {*texts(BASE)} - {*texts(without)}


# ------------------------------------------------------------------------------------------------
# Everything that a service can have, on the node n1 and in the pool 0x12.


def test_an_external_ip_has_the_handle_of_the_cluster_ip() -> None:
    assert [
        "cluster_ips 10.96.0.5 . tcp . 80 : 0x12002",
        "external_ips 203.0.113.5 . tcp . 80 : 0x12002",
        "service_addresses 203.0.113.5",
    ] == lines(OWN, FAR, without="slots", external_ips=("203.0.113.5",))


def test_a_node_port_is_an_element_with_this_nodes_address_which_is_no_services() -> None:
    assert [
        "cluster_ips 10.96.0.5 . tcp . 80 : 0x12001",
        "external_ips 192.0.2.1 . tcp . 30080 : 0x12001",
    ] == lines(FAR, without="slots", **NODE_PORT)


def test_an_address_that_another_service_has_too_is_that_ones() -> None:
    fields: dict[str, Any] = {"external_ips": ("203.0.113.5",), "shared": ("203.0.113.5",)}
    assert [
        "cluster_ips 10.96.0.5 . tcp . 80 : 0x12001",
        "external_ips 203.0.113.5 . tcp . 80 : 0x12001",
    ] == lines(FAR, without="slots", **fields)


# ------------------------------------------------------------------------------------------------


def test_local_for_the_outside_is_an_odd_pool_and_the_way_back_to_all() -> None:
    assert [
        "cluster_ips 10.96.0.5 . tcp . 80 : 0x12002",
        "external_ips 192.0.2.1 . tcp . 30080 : 0x13801",
        "handles 0x12000 : 0x12002",
        "slots 0x12000 . 0x0 : 10.244.1.10 . 8080",
        "slots 0x12000 . 0x1 : 10.244.2.10 . 8080",
        "slots 0x13000 . 0x0 : 10.244.1.10 . 8080",
    ] == lines(OWN, FAR, external_local=True, **NODE_PORT)


def test_local_inside_is_the_odd_pool_for_the_cluster_ip() -> None:
    assert [
        "cluster_ips 10.96.0.5 . tcp . 80 : 0x13001",
        "external_ips 192.0.2.1 . tcp . 30080 : 0x12002",
    ] == lines(OWN, FAR, internal_local=True, without="slots", **NODE_PORT)


@pytest.mark.parametrize(
    ("endpoints", "inside", "outside"),
    [
        ((FAR,), "0x1303f", "0x1383f"),  # one, but none here: dropped
        ((), "0x13000", "0x13800"),  # none anywhere: refused
    ],
)
def test_local_without_an_endpoint_here_drops_and_without_any_refuses(
    endpoints: tuple[Endpoint, ...], inside: str, outside: str
) -> None:
    policies: dict[str, Any] = {"internal_local": True, "external_local": True}
    found = lines(*endpoints, **policies, **NODE_PORT)
    assert f"cluster_ips 10.96.0.5 . tcp . 80 : {inside}" in found
    assert f"external_ips 192.0.2.1 . tcp . 30080 : {outside}" in found
    assert not [line for line in found if line.startswith("slots 0x13000")]


# ------------------------------------------------------------------------------------------------


def number_of(text: str) -> int:
    """Return the number of the target *text* beside that of the other one."""
    return numbers([target("10.244.1.10:8080"), target("10.244.2.10:8080")], 4096)[target(text)]


A, B = number_of("10.244.1.10:8080"), number_of("10.244.2.10:8080")


def test_with_affinity_slots_hold_numbers_by_which_endpoints_are_found_again() -> None:
    assert sorted([
        "cluster_ips 10.96.0.5 . tcp . 80 : 0x12042",
        "handles 0x12000 : 0x12042",
        f"choices 0x12000 . 0x0 : {0x12000 | A:#x}",
        f"choices 0x12000 . 0x1 : {0x12000 | B:#x}",
        f"endpoints {0x12000 | A:#x} : 10.244.1.10 . 8080",
        f"endpoints {0x12000 | B:#x} : 10.244.2.10 . 8080",
    ]) == lines(OWN, FAR, affinity_seconds=60)  # fmt: skip


def test_the_timeout_is_told_by_its_place_in_the_site() -> None:
    assert "cluster_ips 10.96.0.5 . tcp . 80 : 0x12081" in lines(FAR, affinity_seconds=10800)


def test_an_endpoint_keeps_its_number_while_another_fails() -> None:
    found = lines(OWN._replace(ready=False, serving=False), FAR, affinity_seconds=60)
    assert f"choices 0x12000 . 0x0 : {0x12000 | B:#x}" in found
    assert not [line for line in found if "10.244.1.10" in line]


def test_with_affinity_an_endpoint_of_several_slots_is_there_once() -> None:
    found = lines(OWN._replace(weight=3), FAR, affinity_seconds=60)
    assert 4 == sum(line.startswith("choices") for line in found)
    assert 2 == sum(line.startswith("endpoints") for line in found)


def test_affinity_and_local_have_both_pools() -> None:
    assert sorted([
        "cluster_ips 10.96.0.5 . tcp . 80 : 0x12042",
        "external_ips 192.0.2.1 . tcp . 30080 : 0x13841",
        "handles 0x12000 : 0x12042",
        "handles 0x13000 : 0x13041",
        f"choices 0x13000 . 0x0 : {0x13000 | A:#x}",
        f"endpoints {0x13000 | A:#x} : 10.244.1.10 . 8080",
    ]) == [
        line
        for line in lines(OWN, FAR, affinity_seconds=60, external_local=True, **NODE_PORT)
        if not line.startswith(("choices 0x12", "endpoints 0x12"))
    ]  # fmt: skip


def test_affinity_without_an_endpoint_refuses() -> None:
    assert [
        "cluster_ips 10.96.0.5 . tcp . 80 : 0x12000",
        "handles 0x12000 : 0x12000",
    ] == lines(affinity_seconds=60)


def test_consistent_hashing_fills_the_table_of_1021_slots() -> None:
    found = lines(OWN, FAR, consistent_hash=True)
    assert "cluster_ips 10.96.0.5 . tcp . 80 : 0x1203e" in found
    slots = [line for line in found if line.startswith("slots")]
    assert 1021 == len(slots)
    assert {"10.244.1.10", "10.244.2.10"} == {line.split(" : ")[1].split()[0] for line in slots}
    assert any(line.startswith("slots 0x12000 . 0x3fc :") for line in slots)


def test_consistent_hashing_without_an_endpoint_refuses() -> None:
    assert ["cluster_ips 10.96.0.5 . tcp . 80 : 0x12000"] == lines(consistent_hash=True)


# ------------------------------------------------------------------------------------------------


@given(state=states())
def test_no_two_parts_have_an_element_in_common(state: NodeState) -> None:
    rendered = [render(state.base, part) for part in state.parts]
    assert sum(map(len, rendered)) == len({key for part in rendered for key in part})


@given(state=states())
def test_elements_have_the_widths_of_their_maps(state: NodeState) -> None:
    rendered = (render(state.base, part) for part in state.parts)
    elements = {element: data for each in rendered for element, data in each.items()}
    ours = {each for rules in rules_of(state.base) for each in rules.maps(state.base)}
    assert [] == [
        (element, data)
        for element, data in elements.items()
        if (len(element) - 1, len(data)) != (map_of(element).key_width, map_of(element).data_width)
        or map_of(element) not in ours
    ]


def elements_of(state: NodeState) -> dict[Element, bytes]:
    rendered = (render(state.base, part) for part in state.parts)
    return {element: data for each in rendered for element, data in each.items()}


@given(state=states())
def test_every_handle_leads_to_a_chain_and_draws_from_the_slots_of_its_pool(
    state: NodeState,
) -> None:
    """A handle that `classes` lacks, or slots that are not 0, 1, 2..., would let packets pass."""
    classes = {
        int(key, 16) for key in re.findall(r"(0x\w+) : (?:goto|drop)", framework(state.base))
    }
    found = elements_of(state)
    slots: Counter[tuple[str, bytes]] = Counter()
    for element in found:
        map_ = map_of(element)
        if map_.name in ("slots", "choices"):
            slots[map_.table.family, element[1:5]] += 1
            assert int.from_bytes(element[5:9], sys.byteorder) < MAX_ENDPOINTS
    for element, data in found.items():
        map_ = map_of(element)
        if map_.name not in ("cluster_ips", "external_ips", "handles"):
            continue
        number = int.from_bytes(data, sys.byteorder)
        assert number & 0x13FF in classes
        drawn = slots[map_.table.family, host32(handle.pool_of(number))]
        class_ = number & handle.CLASS_MASK
        expected = {HASH: HASH_SLOTS, handle.DROP: 0}.get(class_, drawn)
        assert expected == drawn
        if class_ not in (HASH, handle.DROP):
            assert class_of(drawn) == class_


@given(data=st.data())
def test_no_map_needs_more_room_than_the_site_says(data: st.DataObject) -> None:
    """So a map is replaced by a larger one before it is full, whatever is healthy by then."""
    base = msgspec.structs.replace(BASE, affinity_timeouts=(60, 10800))
    drawn = data.draw(services(base, {"a": 2, "b": 3, "c": 4}))
    declared = msgspec.structs.replace(base, capacity=sizes(drawn))
    failing = frozenset({("default", f"w{n}") for n in data.draw(st.sets(st.integers(2, 9)))})
    made = [project_service(each, HERE, failing) for each in drawn]
    room = re.findall(
        r"(?:map|set) (\w+) \{.*; size (\d+);", framework(of_family("IPv4", declared))
    )
    counts = Counter(map_of(element) for element in elements_of(NodeState.of(declared, made)))
    assert {"slots", "handles", "source_ranges", "external_ips"} < {name for name, _ in room}
    sizes_ = {name: int(size) for name, size in room}
    assert [] == [(m, n, sizes_[m.name]) for m, n in counts.items() if n > sizes_.get(m.name, n)]


@pytest.mark.parametrize("workloads", [(), ("10.244.1.10",)])
def test_the_dataplane_has_the_elements_of_all_rules(workloads: tuple[str, ...]) -> None:
    part = msgspec.structs.replace(WEB, dsr_workloads=workloads)
    of_each = [each.render(BASE, part) for each in rules_of(BASE)]
    assert [bool(workloads), True] == [bool(each) for each in of_each]
    with closing(dataplane()) as plane:
        assert {k: v for each in of_each for k, v in each.items()} == plane.render(BASE, part)
