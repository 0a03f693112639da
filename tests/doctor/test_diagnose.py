"""What is found as a whole, and what cannot be seen."""

import pytest
from msgspec.structs import replace

from groundplane.doctor import (
    diagnose,
)
from groundplane.kernel.tables import Table
from tests.doctor.findings import EXPOSED, GOOD, NOTHING, OURS, found, sysctls, the
from tests.rulesets import tables_of
from tests.states import BASE, of_family


def test_a_node_as_it_should_be_has_no_finding() -> None:
    assert [] == found(GOOD)
    assert [] == found(GOOD, EXPOSED)
    assert [] == found(GOOD, EXPOSED, replace(BASE, peers=()))


def test_rules_that_cannot_be_read() -> None:
    finding = the(replace(GOOD, ruleset=None, unreadable=("nft: Operation not permitted",)))
    assert ("warning", "nftables") == (finding.severity, finding.subject)
    assert "nft: Operation not permitted" in finding.message


def test_a_table_that_nft_cannot_read() -> None:
    reason = "nft is killed by SIGSEGV when it reads table ip theirs"
    finding = the(replace(GOOD, unreadable=(reason,)))
    assert ("warning", "nftables") == (finding.severity, finding.subject)
    assert reason in finding.message


def test_rules_of_iptables_legacy() -> None:
    finding = the(replace(GOOD, legacy_tables=("filter", "nat")))
    assert ("warning", "iptables-legacy") == (finding.severity, finding.subject)


@pytest.mark.parametrize("table", tables_of(BASE), ids=str)
def test_our_own_tables(table: Table) -> None:
    others = tuple(each for each in OURS if [*each["table"].values()] != [*table])
    assert len(OURS) - 1 == len(others)
    assert [("error", f"table {table}")] == found(replace(GOOD, ruleset=others))


def test_a_family_that_the_site_has_not_needs_no_table() -> None:
    others = tuple(each for each in OURS if each["table"]["family"] != "ip6")
    assert [] == found(replace(GOOD, ruleset=others), base=of_family("IPv4"))


def test_the_worst_comes_first() -> None:
    facts = replace(sysctls(net__ipv4__conf__all__send_redirects="1"), legacy_tables=("nat",))
    facts = sysctls(facts, net__ipv4__ip_forward="0")
    assert ["error", "warning", "warning"] == [
        each.severity for each in diagnose(BASE, facts, NOTHING)
    ]
