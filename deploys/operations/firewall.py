"""Lets services through firewalld or ufw, by their own commands."""

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import StringCommand, operation

from deploys import firewall
from deploys.facts.firewall import FirewalldDenies, UfwRules
from deploys.firewall import Openings


@operation()
def opened(wanted: Openings) -> Generator[StringCommand]:
    """Have *wanted* pass whichever of firewalld and ufw is on; nothing where none is."""
    pairs = tuple(firewall.firewalld(wanted))
    missing = host.get_fact(FirewalldDenies, questions=tuple(ask for ask, _ in pairs))
    for number in missing:
        yield StringCommand(pairs[number][1])
    if missing:
        yield StringCommand("firewall-cmd --reload")
    rules = host.get_fact(UfwRules)
    lacking = [] if rules is None else list(firewall.ufw(wanted, rules))
    for command in lacking:
        yield StringCommand(command)
    if not missing and not lacking:
        host.noop("no firewall is in the way")
