"""Commands that open firewalld and ufw for services that IPVS balances. Pure.

firewalld cannot match a packet's mark, so the commands allow destinations other than the node's
own addresses: the ranges of services, and the node ports. ufw drops packets to addresses that no
device has before it evaluates its own rules, so our rule precedes those.
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
# How a rule matches a packet for IPVS: in nft's syntax, then in iptables'.
MARKED: Final = (
    f"meta mark and {owned.IPVS_MARK_MASK:#x} == {owned.IPVS_MARK:#x}",
    f"-m mark --mark {owned.IPVS_MARK:#x}/{owned.IPVS_MARK_MASK:#x}",
)
_UFW_RULES: Final = {family: ufw.rule(family, "input", MARKED[1]) for family in ufw.FILES}


def firewalld_commands(base: NodeBase, exposed: Exposed) -> list[str]:
    """Return the commands that allow services in firewalld, each as if nothing were set."""
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
    """Return the command that allows packets of the family *of* (ip or ip6) for IPVS in ufw."""
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
