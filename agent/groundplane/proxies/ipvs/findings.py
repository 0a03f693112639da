"""Findings that keep service packets from IPVS, or IPVS from its endpoints. Pure."""

from collections.abc import Iterator
from typing import Any, Final

from groundplane.diagnosis.facts import Exposed, Facts, Finding
from groundplane.diagnosis.ruleset import Ruleset
from groundplane.diagnosis.sysctl import sysctl_finding, sysctl_name
from groundplane.kernel import owned
from groundplane.kernel.owned import MASQUERADE_PORTS
from groundplane.net.address import contains
from groundplane.project.state import NodeBase
from groundplane.proxies.ipvs.policy_rules import policy_rules

_ALL: Final = 0xFFFFFFFF  # the bits of a mark


def findings(
    base: NodeBase, facts: Facts, exposed: Exposed, ruleset: Ruleset | None
) -> Iterator[Finding]:
    """Yield all findings; on a node of another mode, only other users of our marks and tables."""
    yield from policy_rules(base, facts)
    if base.proxy_mode != "ipvs":
        return
    yield from _settings(facts)
    yield from _direct(facts, exposed)
    if ruleset is not None:
        yield from _marks(ruleset)


def _settings(facts: Facts) -> Iterator[Finding]:
    """Yield settings that keep IPVS from balancing, or from seeing the answers it waits for."""
    for name in ("conntrack", "expire_nodest_conn"):
        setting = f"net/ipv4/vs/{name}"
        if setting not in facts.sysctls:
            yield Finding(
                "error",
                "IPVS",
                "The kernel has none, or its module is not loaded, and the node's proxy mode is "
                "ipvs: services change no more.",
                "Run `modprobe ip_vs`, or deploy the node again.",
            )
            return
        if facts.number(setting) != 1:
            message = "The agent writes no virtual server without it: services change no more."
            yield sysctl_finding("error", setting, message, "1")
    setting = "net/ipv4/ip_local_port_range"
    local = facts.sysctls.get(setting, "").split()
    first, last = MASQUERADE_PORTS
    if len(local) == 2 and int(local[0]) <= last:
        yield Finding(
            "warning",
            f"sysctl {sysctl_name(setting)}",
            f"Connections of the node itself may take ports of {first} to {last}, by which other "
            "nodes masquerade: IPVS may take an answer that only passes here for one of its own.",
            f"Run `sysctl -w '{sysctl_name(setting)}=32768 60999'`, and keep it in a file of "
            "/etc/sysctl.d.",
        )


def _direct(facts: Facts, exposed: Exposed) -> Iterator[Finding]:
    """Yield the direct-routing endpoints that are not on a link of this node."""
    for address in exposed.direct:
        ways = [
            each
            for each in facts.routes
            if each.kind == "unicast" and contains(each.destination, address)
        ]
        way = max(ways, key=lambda each: int(each.destination.partition("/")[2]), default=None)
        if way is None or way.gateway:
            where = f"behind the router {way.gateway}" if way else "on none of its links"
            yield Finding(
                "error",
                f"endpoint {address}",
                f"IPVS is to send to it by direct routing, and it is {where}: who gets such a packet "
                "there sends it back to a node.",
                "Let the annotation groundplane/ipvs-forwarding of the service be tunnel, or bring the "
                "endpoint to a link of this node.",
            )


def _marks(ruleset: Ruleset) -> Iterator[Finding]:
    """Yield other programs' rules that write the mark bits that lead packets to IPVS."""
    for where, mangle in ruleset.foreign_mangles():
        if mangle.get("key", {}).get("meta", {}).get("key") == "mark":
            yield from _mark(where, mangle.get("value"))


def _mark(where: str, value: Any) -> Iterator[Finding]:
    """Yield a finding for a rule that sets a packet's mark to *value*."""
    kept, added = _bits(value)
    ours, mark = owned.IPVS_MARK_MASK, owned.IPVS_MARK
    if added is not None and added & ours == mark and not kept & ours:
        yield Finding(
            "error",
            where,
            f"It gives packets the mark {added:#x}, by which groundplane leads them to IPVS "
            f"({mark:#x}/{ours:#x}): they are refused.",
            "Let that rule use another mark.",
        )
    elif kept & ours != ours or (added or 0) & ours:
        yield Finding(
            "info",
            where,
            f"It writes bits of a packet's mark that lead to IPVS ({mark:#x}/{ours:#x}): a packet "
            "of a service that it sees after groundplane's rules is not led there.",
            f"Let that rule keep these bits: `meta mark set meta mark and {_ALL & ours:#x} or MARK`.",
        )


def _bits(value: Any) -> tuple[int, int | None]:
    """Return the bits of the mark that are kept, and those that are set; None: unknown."""
    if isinstance(value, int):
        return 0, value
    if not isinstance(value, dict):
        return 0, None
    if value.get("meta", {}).get("key") == "mark":
        return _ALL, 0
    for operator, operands in value.items():
        match operator, operands:
            case "&", [inner, int(mask)]:
                kept, added = _bits(inner)
                return kept & mask, None if added is None else added & mask
            case "|" | "^", [inner, int(bits)]:
                kept, added = _bits(inner)
                return kept, None if added is None else added | bits
    return 0, None
