"""Rules of others that write the marks by which packets are led to IPVS."""

from typing import Any

import pytest
from msgspec.structs import replace

from groundplane.diagnosis.facts import Exposed, Facts, Finding
from groundplane.diagnosis.ruleset import ListedChain, ListedRule, Ruleset
from groundplane.proxies.ipvs.findings import findings
from tests.states import BASE

IPVS = replace(BASE, proxy_mode="ipvs")
MARK = {"meta": {"key": "mark"}}


def found(value: Any, *, base: Any = IPVS, table: str = "theirs") -> list[Finding]:
    chain = ("inet", table, "marking")
    rule = ListedRule(chain, ({"mangle": {"key": MARK, "value": value}},))
    ruleset = Ruleset({chain: ListedChain(chain)}, {chain: (rule,)}, {}, frozenset({chain[:2]}))
    there = findings(base, Facts(), Exposed(), ruleset)
    return [each for each in there if each.subject == f"table inet {table}, chain marking"]


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
    assert ([severity] if severity else []) == [each.severity for each in found(value)]


def test_marks_are_nobodys_where_nftables_chooses() -> None:
    assert [] == found(0x47400000, base=BASE)


@pytest.mark.parametrize("table", ["groundplane", "groundplane-ipvs"])
def test_our_own_rules_are_no_finding(table: str) -> None:
    assert [] == found(0x47400000, table=table)
