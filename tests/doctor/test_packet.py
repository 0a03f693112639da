"""Whether a packet matches an expression of nft: yes, no, or it cannot be told."""

from typing import Any

import pytest
from msgspec.structs import replace

from groundplane.diagnosis.packet import KnownPacket, looked_up, matches

PACKET = KnownPacket(
    family="ip", protocol="tcp", source="10.244.1.10", destination="10.244.1.11",
    incoming="groundplane0", outgoing="uplink", port=8080, local=False,
)  # fmt: skip
ICMPV6 = KnownPacket(
    family="ip6", protocol="icmpv6", source="fd00:244::1", destination="fd00:244::2",
    incoming="groundplane0", type="nd-neighbor-solicit",
)  # fmt: skip
ELEMENTS = {
    "lans": ("10.244.1.10", {"prefix": {"addr": "192.168.0.0", "len": 16}}),
    "ports": (22, {"range": [8000, 9000]}),
    "pairs": ({"concat": ["10.244.1.10", 8080]},),
    "verdicts": (["tcp", {"accept": None}], ["udp", {"drop": None}]),
}


def meta(key: str) -> dict[str, Any]:
    return {"meta": {"key": key}}


def payload(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


def ct(key: str) -> dict[str, Any]:
    return {"ct": {"key": key}}


SADDR, DPORT = payload("ip", "saddr"), payload("tcp", "dport")
FIB = {"fib": {"result": "type", "flags": ["daddr"]}}
TEN = {"prefix": {"addr": "10.0.0.0", "len": 8}}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (meta("iifname"), "groundplane0"),
        (meta("iifname"), "ground*"),
        (meta("iif"), "groundplane0"),
        (meta("oifname"), {"set": ["eth0", "uplink"]}),
        (meta("nfproto"), "ipv4"),
        (meta("l4proto"), "tcp"),
        (meta("l4proto"), 6),
        (meta("l4proto"), {"set": ["tcp", "udp"]}),
        (meta("pkttype"), "host"),
        (SADDR, "10.244.1.10"),
        (SADDR, TEN),
        (SADDR, {"range": ["10.244.1.1", "10.244.1.20"]}),
        (SADDR, {"set": ["192.0.2.1", TEN]}),
        (SADDR, {"set": [{"elem": {"val": "10.244.1.10", "comment": "x"}}]}),
        (SADDR, "@lans"),
        (payload("ip", "protocol"), "tcp"),
        (DPORT, 8080),
        (DPORT, {"range": [8000, 9000]}),
        (DPORT, {"set": [22, {"range": [8000, 9000]}]}),
        (DPORT, "@ports"),
        (payload("th", "dport"), 8080),
        ({"concat": [SADDR, DPORT]}, {"set": [{"concat": ["10.244.1.10", 8080]}]}),
        ({"concat": [SADDR, DPORT]}, "@pairs"),
        (ct("state"), "new"),
        (ct("state"), ["established", "new"]),
        (ct("state"), {"set": ["related", "new"]}),
        (ct("direction"), "original"),
        (FIB, "unicast"),
        (SADDR, "*"),
    ],
)
def test_it_matches_and_its_negation_does_not(left: Any, right: Any) -> None:
    assert matches(PACKET, {"op": "==", "left": left, "right": right}, ELEMENTS) is True
    assert matches(PACKET, {"op": "!=", "left": left, "right": right}, ELEMENTS) is False


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (meta("iifname"), "docker0"),
        (meta("iifname"), "br-*"),
        (meta("nfproto"), "ipv6"),
        (meta("l4proto"), "udp"),
        (SADDR, "10.244.1.11"),
        (SADDR, {"prefix": {"addr": "192.168.0.0", "len": 16}}),
        (DPORT, {"range": [1, 1023]}),
        (ct("state"), ["established", "related"]),
        (FIB, "local"),
    ],
)
def test_it_does_not_match_but_its_negation_does(left: Any, right: Any) -> None:
    assert matches(PACKET, {"op": "==", "left": left, "right": right}, ELEMENTS) is False
    assert matches(PACKET, {"op": "!=", "left": left, "right": right}, ELEMENTS) is True


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (payload("ip6", "saddr"), "fd00::1"),
        (payload("udp", "dport"), 8080),
        (payload("icmp", "type"), "echo-request"),
        (payload("arp", "operation"), "request"),
        ({"concat": [payload("ip6", "saddr"), DPORT]}, {"concat": ["fd00::1", 8080]}),
    ],
)
def test_a_field_of_another_protocol_matches_nothing_and_not_its_negation(
    left: Any, right: Any
) -> None:
    assert matches(PACKET, {"op": "==", "left": left, "right": right}, ELEMENTS) is False
    assert matches(PACKET, {"op": "!=", "left": left, "right": right}, ELEMENTS) is False


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (meta("mark"), 1),
        (meta("iifgroup"), 1),
        ({"&": [meta("mark"), 255]}, 1),
        (payload("tcp", "flags"), "syn"),
        (payload("ether", "saddr"), "02:00:00:00:00:01"),
        (SADDR, "@not_listed"),
        (meta("iifname"), {"set": [{"range": ["", ""]}]}),  # what nft 1.0.6 prints for { "a*" }
        (ct("mark"), 1),
        ({"ct": {"key": "ip daddr", "dir": "original"}}, "10.0.0.1"),
        ({"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, False),
        ("something newer", 1),
    ],
)
def test_what_is_not_known_is_no_guess(left: Any, right: Any) -> None:
    for op in ("==", "!="):
        assert matches(PACKET, {"op": op, "left": left, "right": right}, ELEMENTS) is None


def test_what_is_not_known_of_the_packet_is_no_guess_either() -> None:
    anyone = replace(PACKET, source=None, incoming=None, port=None)
    for left, right in ((SADDR, TEN), (meta("iifname"), "eth0"), (DPORT, 22)):
        assert matches(anyone, {"left": left, "right": right}, ELEMENTS) is None


@pytest.mark.parametrize(
    ("op", "right", "expected"),
    [("in", "dnat", True), ("==", "dnat", True), ("in", "snat", None), ("!=", "dnat", None)],
)
def test_of_the_status_of_a_connection_one_bit_is_known(
    op: str, right: str, expected: bool | None
) -> None:
    translated = replace(PACKET, translated=True)
    assert expected is matches(translated, {"op": op, "left": ct("status"), "right": right}, {})
    if expected:
        assert matches(PACKET, {"op": op, "left": ct("status"), "right": right}, {}) is False


@pytest.mark.parametrize(
    ("op", "expected"), [("<", False), (">", True), ("<=", False), (">=", True)]
)
def test_order(op: str, expected: bool) -> None:
    assert expected is matches(PACKET, {"op": op, "left": DPORT, "right": 1024}, {})


def test_types_of_icmp() -> None:
    left = payload("icmpv6", "type")
    known = {"set": ["nd-router-advert", "nd-neighbor-solicit"]}
    assert matches(ICMPV6, {"left": left, "right": known}, {}) is True
    assert matches(ICMPV6, {"left": left, "right": "echo-request"}, {}) is False
    assert matches(ICMPV6, {"left": meta("l4proto"), "right": "ipv6-icmp"}, {}) is True


def test_a_verdict_map() -> None:
    state = {
        "key": ct("state"),
        "data": {"set": [["invalid", {"drop": None}], ["new", {"jump": {}}]]},
    }
    assert [(True, {"jump": {}})] == looked_up(PACKET, state, ELEMENTS)
    named = {"key": meta("l4proto"), "data": "@verdicts"}
    assert [(True, {"accept": None})] == looked_up(PACKET, named, ELEMENTS)
    unknown = {"key": meta("mark"), "data": {"set": [[1, {"drop": None}]]}}
    assert [(None, {"drop": None})] == looked_up(PACKET, unknown, ELEMENTS)
    assert [] == looked_up(PACKET, {"key": meta("mark"), "data": "@not_listed"}, ELEMENTS)
    assert [] == looked_up(PACKET, {"key": payload("udp", "dport"), "data": "@ports"}, ELEMENTS)
