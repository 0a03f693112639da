"""Rules of others that write what our rules keep in a packet or its connection."""

from typing import Any

import pytest

from groundplane.diagnosis.facts import Finding
from groundplane.diagnosis.ruleset import ListedChain, ListedRule, Ruleset
from groundplane.doctor.shared import shared

CHAIN = ("inet", "theirs", "marking")
PRIORITY = {"meta": {"key": "priority"}}


def found(key: Any, value: Any, *, table: str = "theirs") -> list[Finding]:
    chain = (CHAIN[0], table, CHAIN[2])
    rule = ListedRule(chain, ({"mangle": {"key": key, "value": value}},))
    tables = frozenset({chain[:2]})
    return list(shared(Ruleset({chain: ListedChain(chain)}, {chain: (rule,)}, {}, tables)))


@pytest.mark.parametrize("label", [14, 15, "15", [3, 15]])
def test_labels_that_are_ours(label: Any) -> None:
    (finding,) = found({"ct": {"key": "label"}}, label)
    assert ("info", "table inet theirs, chain marking") == (finding.severity, finding.subject)
    assert "of connections, by which groundplane knows" in finding.message


@pytest.mark.parametrize("label", [13, {"map": {}}, "net"])
def test_labels_that_are_not(label: Any) -> None:
    assert [] == found({"ct": {"key": "label"}}, label)


def test_the_priority_of_packets() -> None:
    (finding,) = found(PRIORITY, 1)
    assert "carries our choice" in finding.message


@pytest.mark.parametrize("table", ["groundplane", "groundplane-services", "groundplane-ipvs"])
def test_our_own_rules_are_no_finding(table: str) -> None:
    assert [] == found(PRIORITY, 1, table=table)
