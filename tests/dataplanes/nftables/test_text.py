"""The framework and the ruleset as text."""

import re
from typing import Literal

import msgspec
import pytest

from groundplane.dataplanes.nftables.text import removal
from groundplane.project.state import NodeBase
from groundplane.proxies.nftables.classes import SIZES as CLASSES
from groundplane.site.compiled import Overlay
from tests.rulesets import framework, framework_digest, render, ruleset, tables_of
from tests.states import BASE, SIZES, of_family, service

WEB = service("web", ["10.96.0.5"], ["10.244.1.10:8080"])


def tables(text: str) -> list[str]:
    return re.findall(r"^table (\w+ [\w-]+) \{", text, re.MULTILINE)


def named(*plumbing: str, services: tuple[str, ...]) -> list[str]:
    """Return tables of the plumbing, and of services, by their families."""
    own = [f"{family} groundplane" for family in plumbing]
    return own + [f"{family} groundplane-services" for family in services]


def overlaid(mode: Literal["vxlan", "wireguard"], base: NodeBase) -> NodeBase:
    return msgspec.structs.replace(base, overlay=Overlay(mode, 7071, 4790))


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (BASE, named("ip", "ip6", "bridge", services=("ip", "ip6"))),
        (of_family("IPv4"), named("ip", "bridge", services=("ip",))),
        (of_family("IPv6"), named("ip6", "bridge", services=("ip6",))),
        (overlaid("wireguard", of_family("IPv4")), named("ip", "bridge", services=("ip",))),
        # Its link takes tunnels of either family.
        (overlaid("vxlan", BASE), named("ip", "ip6", "bridge", services=("ip", "ip6"))),
        (overlaid("vxlan", of_family("IPv4")), named("ip", "ip6", "bridge", services=("ip",))),
        (overlaid("vxlan", of_family("IPv6")), named("ip6", "ip", "bridge", services=("ip6",))),
    ],
    ids=["both", "IPv4", "IPv6", "WireGuard", "VXLAN", "VXLAN IPv4", "VXLAN IPv6"],
)
def test_a_table_for_each_family_and_one_for_the_bridge(
    base: NodeBase, expected: list[str]
) -> None:
    assert expected == tables(framework(base)) == [*map(str, tables_of(base))]


def test_every_table_carries_the_digest_by_which_it_is_known_again() -> None:
    found = re.findall(r'^  comment "(.*)"$', framework(BASE), re.MULTILINE)
    assert [framework_digest(BASE)] * 5 == found


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
        "add table ip groundplane-services", "delete table ip groundplane-services",
        "add table ip6 groundplane-services", "delete table ip6 groundplane-services",
    ] == removal().splitlines()  # fmt: skip


def test_elements_are_added_map_by_map_sorted() -> None:
    text = ruleset(BASE, render(BASE, WEB)).removeprefix(ruleset(BASE, {}))
    assert text == (
        "add element ip groundplane-services cluster_ips {\n  10.96.0.5 . tcp . 80 : 0x2001\n}\n"
        "add element ip groundplane-services service_addresses {\n  10.96.0.5\n}\n"
        "add element ip groundplane-services slots {\n  0x2000 . 0x0 : 10.244.1.10 . 8080\n}\n"
    )


def test_the_text_does_not_depend_on_the_order_of_the_elements() -> None:
    elements = render(BASE, BASE) | render(BASE, WEB)
    assert ruleset(BASE, elements) == ruleset(BASE, dict(reversed(elements.items())))


# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeouts", [(), (60,), (60, 10800)])
def test_each_affinity_timeout_has_chains_of_its_own_for_all_and_for_local_endpoints(
    timeouts: tuple[int, ...],
) -> None:
    text = framework(msgspec.structs.replace(of_family("IPv4"), affinity_timeouts=timeouts))
    numbers = range(1, len(timeouts) + 1)
    names = [name for n in numbers for name in (f"{n}", f"local_{n}")]
    assert names == re.findall(r"chain known_(\w+) \{", text)
    assert names == re.findall(r"chain sticky_(\w+) \{", text)
    each = [f"{seconds}s" for seconds in timeouts for _ in range(2)]
    assert each == re.findall(r"ip saddr timeout (\w+) : meta priority", text)
    wanted = [f"choose_{n}" for n in range(1, len(CLASSES) + 1)] if timeouts else []
    assert wanted == re.findall(r"chain (choose_\d+) \{", text)
    assert ("map choose" in text) == bool(timeouts)


def test_every_class_of_every_timeout_is_in_the_map_of_classes() -> None:
    text = framework(msgspec.structs.replace(of_family("IPv4"), affinity_timeouts=(60, 10800)))
    found = re.findall(r"(0x\w+) : goto sticky_(\w+)", text)
    assert 2 * 2 * len(CLASSES) == len(found) == len({key for key, _ in found})
    for key, name in found:
        local, _, number = name.rpartition("local_")
        parity, timeout = int(key, 16) >> 12, int(key, 16) >> 6 & 15
        assert (bool(parity), timeout) == ("local" in name, int(number or local))


def test_source_ranges_are_looked_up_once_for_each_length_that_is_kept() -> None:
    for family, bits in (("IPv4", 32), ("IPv6", 128)):
        text = framework(of_family(family))
        lengths = re.findall(r"& 0xffffe000 \| (\d+) \. \w+ saddr & \S+ @source_ranges", text)
        assert [str(length) for length in range(4, bits + 1, 4)] == lengths


@pytest.mark.parametrize("outside", [True, False])
def test_cluster_ips_are_closed_to_the_outside_by_one_rule_a_family(outside: bool) -> None:
    base = msgspec.structs.replace(BASE, cluster_ips_from_outside=outside)
    rules = [line.strip() for line in framework(base).splitlines()]
    assert (0 if outside else 2) == rules.count("fib saddr type != local drop")


def test_no_chain_or_rule_depends_on_the_number_of_services() -> None:
    """What more services make is elements: the rest is the same text for 1 and for 1,000."""
    base = msgspec.structs.replace(BASE, affinity_timeouts=(60,))
    rests = []
    for count in (1, 1000):
        elements: dict[bytes, bytes] = {}
        for n in range(count):
            one = service(f"s{n}", [f"10.96.{n >> 8}.{n & 255}"], ["10.244.1.10:80"], pool=2 * n)
            one = msgspec.structs.replace(one, affinity_seconds=0, external_local=n % 2 == 0)
            elements |= render(base, one)
        text = ruleset(base, elements)
        assert text.startswith(removal() + framework(base))
        added = text.removeprefix(removal() + framework(base))
        rests.append(re.sub(r"\{\n.*?\n\}", "{}", added, flags=re.DOTALL))
        assert count == added.count(" . tcp . 80 : ")
    assert "add element ip groundplane-services cluster_ips {}" in rests[0].splitlines()
    assert rests[0] == rests[1]
