"""Rules of others that write our marks and labels."""

from typing import Any

import pytest
from msgspec.structs import replace

from groundplane.doctor.facts import Finding
from groundplane.doctor.ruleset import Chain, Rule, Ruleset
from groundplane.doctor.shared import shared
from tests.states import BASE

IPVS = replace(BASE, proxy_mode="ipvs")
CHAIN = ("inet", "theirs", "marking")
MARK = {"meta": {"key": "mark"}}


def found(key: Any, value: Any, *, base: Any = IPVS, table: str = "theirs") -> list[Finding]:
    chain = (CHAIN[0], table, CHAIN[2])
    rule = Rule(chain, ({"mangle": {"key": key, "value": value}},))
    tables = frozenset({chain[:2]})
    return list(shared(base, Ruleset({chain: Chain(chain)}, {chain: (rule,)}, {}, tables)))


@pytest.mark.parametrize("label", [14, 15, "15", [3, 15]])
def test_labels_that_are_ours(label: Any) -> None:
    (finding,) = found({"ct": {"key": "label"}}, label)
    assert ("info", "table inet theirs, chain marking") == (finding.severity, finding.subject)
    assert "of connections, by which groundplane knows" in finding.message


@pytest.mark.parametrize("label", [13, {"map": {}}, "net"])
def test_labels_that_are_not(label: Any) -> None:
    assert [] == found({"ct": {"key": "label"}}, label)


def masked(mask: int, *bits: int) -> dict[str, Any]:
    kept = {"&": [MARK, mask]}
    return {"|": [kept, bits[0]]} if bits else kept


@pytest.mark.parametrize(
    ("value", "severity"),
    [
        (0x47400000, "error"),
        (0x47512345, "error"),
        (0x10, "info"),  # the whole mark is another one then
        (0, "info"),
        (masked(0xFF00FFFF, 0x10), "info"),  # bits of ours are cleared
        (masked(0xFFFFFF00, 0x01000010), "info"),
        ({"ct": {"key": "mark"}}, "info"),  # whatever that is
        (masked(0xFFFFFFF0, 0x3), ""),
        (masked(0xFFC00000), ""),
        (MARK, ""),
    ],
)
def test_marks_where_ipvs_goes_by_them(value: Any, severity: str) -> None:
    assert ([severity] if severity else []) == [each.severity for each in found(MARK, value)]


def test_marks_are_nobodys_where_nftables_chooses() -> None:
    assert [] == found(MARK, 0x47400000, base=BASE)


@pytest.mark.parametrize("table", ["groundplane", "groundplane-ipvs"])
def test_our_own_rules_are_no_finding(table: str) -> None:
    assert [] == found(MARK, 0x47400000, table=table)
