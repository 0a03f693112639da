"""What on a node would drop service traffic: all findings, the worst first. Pure."""

from collections.abc import Iterator
from typing import Final

from groundplane.dataplanes.nftables.text import tables_of
from groundplane.diagnosis.facts import Exposed, Facts, Finding, Severity
from groundplane.diagnosis.ruleset import Ruleset, parse
from groundplane.doctor.filters import filters
from groundplane.doctor.kernel import kernel
from groundplane.doctor.network import network
from groundplane.doctor.shared import shared
from groundplane.doctor.translations import translations
from groundplane.kernel import owned
from groundplane.project.state import NodeBase
from groundplane.proxies import proxies
from groundplane.proxies.node import rules_of

_LACKING: Final = {
    owned.TABLE: "workloads may send from any address, and what leaves is not masqueraded",
    owned.SERVICES_TABLE: "no address of a service is translated",
}
_ORDER: Final[dict[Severity, int]] = {"error": 0, "warning": 1, "info": 2}


def diagnose(base: NodeBase, facts: Facts, exposed: Exposed) -> list[Finding]:
    """Return the problems for the traffic of *base*, worst first, each once."""
    found = [*kernel(base, facts, exposed), *network(base, facts, exposed)]
    found += _legacy(facts)
    ruleset = None if facts.ruleset is None else parse(facts.ruleset)
    for each in proxies():
        found += each.findings(base, facts, exposed, ruleset)
    if ruleset is None:
        why = "; ".join(facts.unreadable) or "nft is missing"
        found.append(
            Finding(
                "warning",
                "nftables",
                f"The rules of this node cannot be read ({why}), "
                "so what they drop is not among these findings.",
                "Run `groundplane doctor` as root, on a node that has nft.",
            )
        )
    else:
        found += _unreadable(facts)
        found += _ours(base, ruleset)
        found += filters(base, facts, exposed, ruleset)
        found += translations(base, facts, exposed, ruleset)
        found += shared(ruleset)
    return sorted(dict.fromkeys(found), key=lambda each: (_ORDER[each.severity], each.subject))


def _unreadable(facts: Facts) -> Iterator[Finding]:
    for reason in facts.unreadable:
        yield Finding(
            "warning",
            "nftables",
            f"One table cannot be read ({reason}), so what it drops is not among these findings.",
            "Remove that table (`nft delete table FAMILY NAME`, by the nft that made it), or "
            "update nft.",
        )


def _ours(base: NodeBase, ruleset: Ruleset) -> Iterator[Finding]:
    for table in tables_of(rules_of(base), base):
        if table not in ruleset.tables:
            yield Finding(
                "error",
                f"table {table}",
                f"It is not loaded: {_LACKING[table.name]}.",
                "Run `systemctl restart groundplane-agent`; `groundplane agent status` says why.",
            )


def _legacy(facts: Facts) -> Iterator[Finding]:
    if facts.legacy_tables:
        tables = ", ".join(facts.legacy_tables)
        yield Finding(
            "warning",
            "iptables-legacy",
            f"Its tables {tables} are loaded, and nft does not show their rules: what they drop is "
            "not among these findings.",
            "Run `iptables-legacy-save` and look for a policy DROP or a DROP rule at FORWARD, or "
            "move to iptables-nft.",
        )
