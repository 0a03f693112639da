"""What opens firewalld and ufw for services where IPVS balances, as their own commands. Pure.

firewalld has no words for a packet's mark, so what is let in there is what the node's own
addresses are not: the ranges of services, and the ports that are node ports. ufw drops packets to
addresses that no device has before it asks its own rules, so the rule stands in front of those.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from groundplane.doctor.balanced import MARKED
from groundplane.net.address import family_of
from groundplane.project.state import NodeBase

POLICY: Final = "groundplane_ipvs"


def firewalld_settings(ranges: Iterable[str], ports: Iterable[tuple[str, int]]) -> Iterator[str]:
    """Yield the options of `firewall-cmd --permanent --policy=POLICY` that let services in.

    *ports* are protocols in lower case and numbers. Each option's query says whether it is set.
    """
    yield "--add-ingress-zone=ANY"
    yield "--add-egress-zone=HOST"
    for cidr in ranges:
        family = family_of(cidr).lower()
        yield f"'--add-rich-rule=rule family={family} destination address={cidr} accept'"
    for protocol, port in ports:
        yield f"--add-port={port}/{protocol}"


def balanced_ranges(base: NodeBase) -> tuple[str, ...]:
    return (*base.service_cidrs, *base.external_cidrs)


UFW_FILES: Final = {
    "/etc/ufw/before.rules": "ufw-before-input",
    "/etc/ufw/before6.rules": "ufw6-before-input",
}


# What a service translated and sends on to another node, in the words of the same files.
UFW_TRANSLATED: Final = {
    "/etc/ufw/before.rules": "-A ufw-before-forward -m conntrack --ctstate DNAT -j ACCEPT",
    "/etc/ufw/before6.rules": "-A ufw6-before-forward -m conntrack --ctstate DNAT -j ACCEPT",
}


def ufw_translated_insertion(file: str) -> str:
    """Return the command that puts the rule of UFW_TRANSLATED in front of *file*'s other rules."""
    return f"sed -i '/^# End required lines/a {UFW_TRANSLATED[file]}' {file}"


def ufw_rule(file: str) -> str:
    """Return the line of *file*, one of UFW_FILES, that lets in what is for IPVS."""
    return f"-A {UFW_FILES[file]} {MARKED[1]} -j ACCEPT"


def ufw_insertion(file: str) -> str:
    """Return the command that puts the line in front of *file*'s other rules."""
    return f"sed -i '/^# End required lines/a {ufw_rule(file)}' {file}"
