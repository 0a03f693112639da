"""What opens firewalld and ufw for services where IPVS balances, as their own commands. Pure.

firewalld has no words for a packet's mark, so what is let in there is what the node's own
addresses are not: the ranges of services, and the ports that are node ports. ufw drops packets to
addresses that no device has before it asks its own rules, so the rule stands in front of those.
"""

from collections.abc import Iterator
from typing import Final

from groundplane.diagnosis import ufw
from groundplane.diagnosis.facts import Exposed
from groundplane.kernel import owned
from groundplane.net.address import family_of
from groundplane.project.state import NodeBase
from groundplane.proxies.proxy import Openings, Setting

_POLICY: Final = "groundplane_ipvs"
_ASK: Final = "firewall-cmd --permanent"
# What a rule says of a packet for IPVS, first in the words of nft, then in those of iptables.
MARKED: Final = (
    f"meta mark and {owned.IPVS_MARK_MASK:#x} == {owned.IPVS_MARK:#x}",
    f"-m mark --mark {owned.IPVS_MARK:#x}/{owned.IPVS_MARK_MASK:#x}",
)
_UFW_RULES: Final = {family: ufw.rule(family, "input", MARKED[1]) for family in ufw.FILES}


def firewalld_commands(base: NodeBase, exposed: Exposed) -> list[str]:
    """Return the commands that let services in through firewalld, each as if nothing were set."""
    new, *settings = _firewalld(base, exposed)
    return [new[1], *(command for _, command in settings)]


def _firewalld(base: NodeBase, exposed: Exposed) -> Iterator[Setting]:
    yield f"{_ASK} --get-policies | grep -qw {_POLICY}", f"{_ASK} --new-policy={_POLICY}"
    for option in _options(base, exposed):
        query = option.replace("--add-", "--query-", 1)
        yield f"{_ASK} --policy={_POLICY} {query}", f"{_ASK} --policy={_POLICY} {option}"


def _options(base: NodeBase, exposed: Exposed) -> Iterator[str]:
    yield "--add-ingress-zone=ANY"
    yield "--add-egress-zone=HOST"
    for cidr in balanced_ranges(base):
        family = family_of(cidr).lower()
        yield f"'--add-rich-rule=rule family={family} destination address={cidr} accept'"
    for protocol, port in exposed.node_ports:
        yield f"--add-port={port}/{protocol.lower()}"


def balanced_ranges(base: NodeBase) -> tuple[str, ...]:
    return (*base.service_cidrs, *base.external_cidrs)


def ufw_command(of: str) -> str:
    """Return the command that lets packets for IPVS of the family *of* (ip or ip6) in through ufw."""
    family = next(each for each in ufw.FILES if each == of)
    return ufw.insertion(family, _UFW_RULES[family])


def openings(base: NodeBase, exposed: Exposed) -> Openings:
    rules = _UFW_RULES.items()
    of_ufw = ((ufw.query(f, rule), ufw.insertion(f, rule)) for f, rule in rules)
    return Openings(tuple(_firewalld(base, exposed)), tuple(of_ufw))


def no_openings() -> Openings:
    there = f"{_ASK} --get-policies | grep -qw {_POLICY}"
    rules = _UFW_RULES.items()
    of_ufw = ((f"! {ufw.query(f, rule)}", ufw.removal(f, rule)) for f, rule in rules)
    return Openings(((f"! {there}", f"{_ASK} --delete-policy={_POLICY}"),), tuple(of_ufw))
