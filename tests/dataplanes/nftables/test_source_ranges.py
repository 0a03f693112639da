"""The sources that may come to a load balancer, as map elements."""

from typing import Any

import pytest

from groundplane.project.node import project_service
from groundplane.site import compiled
from groundplane.site.compiled import Port
from tests.dataplanes.nftables.rendered import BALANCED, FAR, NODE_PORT, lines, texts
from tests.states import HERE


def test_source_ranges_restrict_the_load_balancers_address_alone() -> None:
    others = ("198.51.100.0/24",)
    ranges: dict[str, Any] = {"external_ips": ("203.0.113.5",), "source_ranges": others}
    assert [
        "cluster_ips 10.96.0.5 . tcp . 80 : 0x12001",
        "external_ips 192.0.2.1 . tcp . 30080 : 0x12001",
        "external_ips 203.0.113.5 . tcp . 80 : 0x12001",
        "external_ips 203.0.113.6 . tcp . 80 : 0x12401",
        "source_ranges 0x12018 . 198.51.100.0",
    ] == lines(FAR, without="slots service_addresses", **BALANCED, **NODE_PORT, **ranges)


@pytest.mark.parametrize(
    ("cidr", "expected"),
    [
        ("192.0.2.7/32", ["0x12020 . 192.0.2.7"]),
        ("10.0.0.0/8", ["0x12008 . 10.0.0.0"]),
        ("192.0.2.64/26", [f"0x1201c . 192.0.2.{n}" for n in (64, 80, 96, 112)]),
        ("10.0.0.0/7", ["0x12008 . 10.0.0.0", "0x12008 . 11.0.0.0"]),
        ("0.0.0.0/1", [f"0x12004 . {n}.0.0.0" for n in range(0, 128, 16)]),
    ],
)
def test_a_source_range_is_split_to_a_length_that_is_a_multiple_of_4(
    cidr: str, expected: list[str]
) -> None:
    found = lines(FAR, source_ranges=(cidr,), **BALANCED)
    ranges = [line.removeprefix("source_ranges ") for line in found if "source_ranges" in line]
    assert sorted(expected) == ranges


def test_where_ranges_have_the_node_its_balancers_addresses_are_let_in() -> None:
    """A node that has such an address asks from it."""
    found = lines(FAR, source_ranges=("192.0.2.0/30",), **BALANCED)
    assert "source_ranges 0x12020 . 203.0.113.6" in found
    assert "source_ranges 0x12020 . 203.0.113.6" not in lines(
        FAR, source_ranges=("192.0.2.64/26",), **BALANCED
    )


def test_a_source_range_of_ipv6_is_one_of_its_own_table() -> None:
    fields: dict[str, Any] = {
        "families": ("IPv6",),
        "cluster_ips": ("fd00:96::5",),
        "load_balancer_ips": ("2001:db8:113::6",),
        "source_ranges": ("2001:db8:4::/63", "192.0.2.0/24"),
    }
    made = compiled.Service("default", "web", ports=(Port("http", "TCP", 80, 0x12),), **fields)
    found = texts(project_service(made, HERE, frozenset()))
    assert ["ip6 source_ranges 0x12040 . 2001:db8:4:1::", "ip6 source_ranges 0x12040 . 2001:db8:4::"] == [
        line for line in found if "source_ranges" in line
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ranges", "handle", "count"),
    [
        (("2001:db8::/32",), "0x12401", 0),  # none of this family: nobody may come
        (("0.0.0.0/0", "2001:db8::/32"), "0x12001", 0),  # open to all of this family
        ((), "0x12001", 0),
        (("203.0.113.0/24", "198.51.100.0/24"), "0x12401", 2),
    ],
)
def test_what_is_restricted_says_so_in_its_handle(
    ranges: tuple[str, ...], handle: str, count: int
) -> None:
    found = lines(FAR, source_ranges=ranges, **BALANCED)
    assert f"external_ips 203.0.113.6 . tcp . 80 : {handle}" in found
    assert count == sum("source_ranges" in line for line in found)


def test_source_ranges_without_a_load_balancers_address_are_none() -> None:
    assert lines(FAR, **NODE_PORT) == lines(FAR, source_ranges=("192.0.2.0/24",), **NODE_PORT)
