"""The framework and the ruleset as text."""

import re

import msgspec
import pytest

from groundplane.dataplanes.nftables.handle import SIZES as CLASSES
from groundplane.dataplanes.nftables.render import render
from groundplane.dataplanes.nftables.text import framework, framework_digest, removal, ruleset
from groundplane.project.state import NodeBase
from tests.states import BASE, SIZES, of_family, service

WEB = service("web", ["10.96.0.5"], ["10.244.1.10:8080"])


def tables(text: str) -> list[str]:
    return re.findall(r"^table (\w+) groundplane \{", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (BASE, ["ip", "ip6", "bridge"]),
        (of_family("IPv4"), ["ip", "bridge"]),
        (of_family("IPv6"), ["ip6", "bridge"]),
    ],
    ids=["both", "IPv4", "IPv6"],
)
def test_a_table_for_each_family_and_one_for_the_bridge(
    base: NodeBase, expected: list[str]
) -> None:
    assert expected == tables(framework(base))


def test_every_table_carries_the_digest_by_which_it_is_known_again() -> None:
    found = re.findall(r'^  comment "(.*)"$', framework(BASE), re.MULTILINE)
    assert [framework_digest(BASE)] * 3 == found


CHANGES = {
    "service_cidrs": ("10.97.0.0/24", "fd00:96::/112"),
    "workload_cidrs": ("10.245.0.0/16", "fd00:244::/48"),
    "non_masquerade_cidrs": ("198.51.100.0/24",),
    "egress_masquerade": False,
    "capacity": msgspec.structs.replace(SIZES, slots=24576),
    "affinity_timeouts": (60,),
    "cluster_ips_from_outside": False,
    "bridge_mac": "02:00:00:00:00:02",
    "families": ("IPv6", "IPv4"),
}


@pytest.mark.parametrize("field", CHANGES)
def test_what_rules_depend_on_changes_the_digest(field: str) -> None:
    changed = msgspec.structs.replace(BASE, **{field: CHANGES[field]})
    assert framework_digest(BASE) != framework_digest(changed)


@pytest.mark.parametrize("field", ["peers", "workloads", "addresses", "forwarders"])
def test_what_elements_depend_on_leaves_the_digest(field: str) -> None:
    changed = msgspec.structs.replace(BASE, **{field: ()})
    assert framework_digest(BASE) == framework_digest(changed)


def test_every_class_has_a_chain() -> None:
    text = framework(of_family("IPv4"))
    wanted = [f"pick_{number}" for number in range(1, len(CLASSES) + 1)]
    assert wanted == re.findall(r"chain (pick_\d+) \{", text)
    assert wanted * 2 == re.findall(
        r"0x[0-9a-f]+ : goto (pick_\d+)", text
    )  # for even and odd pools


@pytest.mark.parametrize(("masquerade", "expected"), [(True, 2), (False, 0)])
def test_egress_masquerade_is_one_rule_a_family(masquerade: bool, expected: int) -> None:
    base = msgspec.structs.replace(BASE, egress_masquerade=masquerade)
    assert expected == framework(base).count("daddr != @not_masqueraded")


def test_ranges_that_are_not_masqueraded_stand_in_their_familys_set() -> None:
    base = msgspec.structs.replace(
        BASE, non_masquerade_cidrs=("198.51.100.0/24", "2001:db8:1::/48")
    )
    assert [
        "10.244.0.0/16, 10.96.0.0/24, 198.51.100.0/24",
        "fd00:244::/48, fd00:96::/112, 2001:db8:1::/48",
    ] == re.findall(r"set not_masqueraded .* elements = \{ (.*) \}; \}", framework(base))


def test_the_ruleset_replaces_our_tables_and_touches_no_other() -> None:
    text = ruleset(BASE, {})
    assert text.startswith(removal())
    assert "flush ruleset" not in text
    assert [
        "add table ip groundplane", "delete table ip groundplane",
        "add table ip6 groundplane", "delete table ip6 groundplane",
        "add table bridge groundplane", "delete table bridge groundplane",
    ] == removal().splitlines()  # fmt: skip


def test_elements_are_added_map_by_map_sorted() -> None:
    text = ruleset(BASE, render(BASE, WEB)).removeprefix(ruleset(BASE, {}))
    assert text == (
        "add element ip groundplane cluster_ips {\n  10.96.0.5 . tcp . 80 : 0x2001\n}\n"
        "add element ip groundplane slots {\n  0x2000 . 0x0 : 10.244.1.10 . 8080\n}\n"
        "add element ip groundplane service_addresses {\n  10.96.0.5\n}\n"
    )


def test_the_text_does_not_depend_on_the_order_of_the_elements() -> None:
    elements = render(BASE, BASE) | render(BASE, WEB)
    assert ruleset(BASE, elements) == ruleset(BASE, dict(reversed(elements.items())))
