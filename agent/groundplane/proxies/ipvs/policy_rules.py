"""Other programs' policy rules that keep packets from IPVS or use our routing table. Pure."""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final, Literal

from groundplane.diagnosis.facts import Facts, Finding, PolicyRule
from groundplane.kernel import owned
from groundplane.project.state import NodeBase
from groundplane.proxies.ipvs.firewall import balanced_ranges

Taken = Literal["all", "some", "none"]

_REST: Final[dict[Taken, Taken]] = {"all": "none", "some": "some", "none": "all"}
_LOCAL: Final = 255  # the table of the kernel's own addresses, which comes first on every host


def policy_rules(base: NodeBase, facts: Facts) -> Iterator[Finding]:
    """Yield a finding for each such rule; for rules before ours only where IPVS balances."""
    for rule in facts.policy_rules:
        if rule.family not in base.families or _is_ours(rule):
            continue
        where = f"{rule.family} policy rule {rule.priority}"
        if rule.table == owned.IPVS_ROUTES:
            yield Finding(
                "info",
                where,
                f"It uses routing table {owned.IPVS_ROUTES}, which is groundplane's and makes the "
                "addresses of services local.",
                "Let that rule use another table.",
            )
        if (
            base.proxy_mode != "ipvs"
            or not _is_before_ours(rule)
            or not _routes_services(base, rule)
        ):
            continue
        taken = _taken(rule)
        if taken != "none":
            verb = "takes" if taken == "all" else "may take"
            yield Finding(
                "error" if taken == "all" else "warning",
                where,
                f"It {verb} packets to services before rule {owned.IPVS_RULE} leads them to IPVS: "
                "connections to services fail.",
                f"Give that rule a priority above {owned.IPVS_RULE} where it is written; ip(8) "
                "puts a rule without a priority before all others.",
            )


def _is_ours(rule: PolicyRule) -> bool:
    ours = owned.IPVS_MARK, owned.IPVS_MARK_MASK, owned.IPVS_ROUTES
    return ours == (rule.mark, rule.mask, rule.table) and not rule.inverted


def _is_before_ours(rule: PolicyRule) -> bool:
    return rule.priority <= owned.IPVS_RULE and rule.table not in (_LOCAL, owned.IPVS_ROUTES)


def _routes_services(base: NodeBase, rule: PolicyRule) -> bool:
    """Return whether a packet to a service stops at *rule*: its table has a route, or it names no table."""
    if not rule.table:
        return True
    services = [ip_network(each) for each in balanced_ranges(base)]
    return any(ip_network(to).overlaps(each) for to in rule.routes for each in services)


def _taken(rule: PolicyRule) -> Taken:
    """Return which packets with our marks *rule* matches."""
    if rule.mark is None:
        matched: Taken = "all"
    elif (rule.mark ^ owned.IPVS_MARK) & rule.mask & owned.IPVS_MARK_MASK:
        matched = "none"
    else:
        matched = "some" if rule.mask & ~owned.IPVS_MARK_MASK else "all"
    if rule.limited and matched == "all":
        matched = "some"
    if rule.inverted:
        return _REST[matched]
    return matched
