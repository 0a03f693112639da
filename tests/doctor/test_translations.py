"""Findings of the translations of others, from facts as data."""

from typing import Any

import pytest

from groundplane.doctor import (
    Facts,
    diagnose,
)
from tests.doctor.findings import EXPOSED, NOTHING, commands, found, the
from tests.doctor.written import NOTRACK, daddr, dport, iif, rules
from tests.states import BASE

DNAT, REDIRECT = {"dnat": {"addr": "172.17.0.2"}}, {"redirect": {"port": 3128}}


def nat(
    hook: str, *written: list[dict[str, Any]], priority: int = -100, family: str = "ip"
) -> Facts:
    return rules(
        hook,
        *written,
        kind="nat",
        table="nat",
        family=family,
        priority=priority,
        policy="accept",
    )


@pytest.mark.parametrize(
    ("facts", "severity", "told"),
    [
        (
            nat("prerouting", [dport("tcp", 80), REDIRECT], priority=-110),
            "error",
            "It is asked before ours and translates service addresses port 80/TCP, ",
        ),
        (
            nat("output", [dport("udp", 53), REDIRECT], family="inet"),
            "error",
            "It is asked beside ours and translates service addresses port 53/UDP, ",
        ),
        (
            nat("prerouting", [dport("tcp", 30080), DNAT]),
            "error",
            "It is asked beside ours and translates node port 30080/TCP: ",
        ),
        (
            nat(
                "prerouting",
                [{"xt": {"type": "match", "name": "addrtype"}}, dport("tcp", 30080), DNAT],
            ),
            "warning",
            "It is asked beside ours and may translate node port 30080/TCP: ",
        ),
        (
            nat("prerouting", [daddr("203.0.113.9"), DNAT]),
            "error",
            "It is asked beside ours and translates 203.0.113.9 port 80/TCP, 203.0.113.9 port 443",
        ),
    ],
)
def test_translations_before_ours(facts: Facts, severity: str, told: str) -> None:
    finding = the(facts, EXPOSED)
    assert (severity, finding.message[: len(told)]) == (finding.severity, told)


def test_a_translation_that_matches_everything() -> None:
    assert "service addresses port 54321/TCP" in the(nat("prerouting", [DNAT])).message


@pytest.mark.parametrize(
    "facts",
    [
        nat("prerouting", [DNAT], priority=-90),  # as firewalld's
        nat("prerouting", [iif("eth1"), DNAT]),
        nat("prerouting", [dport("tcp", 8080), DNAT]),
        nat("prerouting", [daddr("198.51.100.7"), DNAT]),
        nat("postrouting", [{"masquerade": None}]),
        nat(
            "prerouting",
            [{"xt": {"type": "match", "name": "addrtype"}}, dport("tcp", 80), DNAT],
        ),  # a port that a container publishes
    ],
)
def test_translations_of_others(facts: Facts) -> None:
    assert [] == found(facts, EXPOSED)


def test_what_is_not_tracked_is_not_translated() -> None:
    facts = rules(
        "prerouting",
        [dport("udp", 53), NOTRACK],
        [iif("eth1"), NOTRACK],
        table="raw",
        priority=-300,
        policy="accept",
    )
    finding = the(facts)
    assert ("error", "table inet raw, chain prerouting") == (finding.severity, finding.subject)
    assert finding.message.startswith("It keeps service addresses port 53/UDP from being tracked")
    assert ["nft 'delete rule inet raw prerouting handle 4'"] == commands(finding)


@pytest.mark.parametrize(
    "facts",
    [
        rules("prerouting", [NOTRACK], priority=0, policy="accept"),  # too late to have an effect
        rules("prerouting", [daddr("192.0.2.9"), NOTRACK], priority=-300, policy="accept"),
        rules(
            "prerouting", [{"limit": {}}, NOTRACK], priority=-300, policy="accept"
        ),  # it cannot be told
    ],
)
def test_what_others_do_not_track(facts: Facts) -> None:
    assert [] == found(facts)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ({"ct": {"key": "label"}}, 14, "sets label 14"),
        ({"ct": {"key": "label"}}, ["3", "14"], "sets label 14"),
        ({"ct": {"key": "label"}}, 13, ""),
        ({"ct": {"key": "label"}}, {"map": {}}, ""),
        ({"ct": {"key": "mark"}}, 14, ""),
        ({"meta": {"key": "priority"}}, "1:2", "sets the priority"),
        ({"meta": {"key": "mark"}}, 14, ""),
    ],
)
def test_what_others_share_with_us(key: dict[str, Any], value: Any, told: str) -> None:
    facts = rules("forward", [{"mangle": {"key": key, "value": value}}], policy="accept")
    findings = diagnose(BASE, facts, NOTHING)
    assert [("info", True)] * bool(told) == [(e.severity, told in e.message) for e in findings]
