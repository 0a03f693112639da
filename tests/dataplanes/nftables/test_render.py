"""Parts to map elements, read as nft writes them."""

import msgspec
import pytest
from hypothesis import given

from groundplane.dataplanes.nftables.maps import MAPS, map_of
from groundplane.dataplanes.nftables.render import render
from groundplane.model.limits import MAX_ENDPOINTS
from groundplane.project.node import interface_name
from groundplane.project.state import (
    Member,
    NodeBase,
    NodeState,
    Part,
    ServicePort,
    Targets,
    VirtualService,
)
from tests.states import BASE, headless, of_family, service, states, target

WEB = service("web", ["10.96.0.5"], ["10.244.1.10:8080", "10.244.2.10:8080"], pool=0x12)


def texts(part: Part, base: NodeBase = BASE) -> list[str]:
    """Return the elements of *part* as lines `table map element`."""
    found = render(base, part).items()
    return sorted(f"{map_of(e)!r} {map_of(e).element_text(e, data)}" for e, data in found)


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
    http = ServicePort("http", "TCP", 80, 2, Targets((target("10.244.1.10:8080"),)))
    dns = ServicePort("dns", "UDP", 80, 4, Targets((target("10.244.1.10:53"),)))
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
    name = interface_name("default", "a")
    assert [
        f'bridge workloads_ip "{name}" . 10.244.1.10',
        f'bridge workloads_ip6 "{name}" . fd00:244:0:1::10',
        "ip hairpin 10.244.1.10 . 10.244.1.10",
        "ip nodes 192.0.2.1",
        "ip nodes 192.0.2.2",
        "ip nodes 192.0.2.3",
        "ip6 hairpin fd00:244:0:1::10 . fd00:244:0:1::10",
        "ip6 nodes 2001:db8::1",
        "ip6 nodes 2001:db8::2",
        "ip6 nodes 2001:db8::3",
    ] == texts(BASE)


@pytest.mark.parametrize(
    ("family", "tables"), [("IPv4", ("ip ", "bridge ")), ("IPv6", ("ip6 ", "bridge "))]
)
def test_a_site_of_one_family_has_elements_of_it_only(family: str, tables: tuple[str, ...]) -> None:
    assert [] == [line for line in texts(of_family(family)) if not line.startswith(tables)]


def test_a_node_that_is_gone_is_in_no_set() -> None:
    without = msgspec.structs.replace(BASE, peers=BASE.peers[:1])
    assert {"ip nodes 192.0.2.3", "ip6 nodes 2001:db8::3"} == {*texts(BASE)} - {*texts(without)}


@given(state=states())
def test_no_two_parts_have_an_element_in_common(state: NodeState) -> None:
    rendered = [render(state.base, part) for part in state.parts]
    assert sum(map(len, rendered)) == len({key for part in rendered for key in part})


@given(state=states())
def test_elements_have_the_widths_of_their_maps(state: NodeState) -> None:
    rendered = (render(state.base, part) for part in state.parts)
    elements = {element: data for each in rendered for element, data in each.items()}
    ours = {each for family in state.base.families for each in MAPS[family].all}
    assert [] == [
        (element, data)
        for element, data in elements.items()
        if (len(element) - 1, len(data)) != (map_of(element).key_width, map_of(element).data_width)
        or map_of(element) not in ours
    ]
