"""Lets services through firewalld or ufw, by their own commands."""

from collections.abc import Generator, Iterable

from pyinfra import host
from pyinfra.api import StringCommand, operation

from groundplane_deploys.facts.firewall import FirewalldDenies, UfwDenies, UfwRules
from groundplane_deploys.plan import firewall
from groundplane_deploys.plan.firewall import Openings


@operation()
def opened(wanted: Openings) -> Generator[StringCommand]:
    """Have *wanted* pass whichever of firewalld and ufw is on; nothing where none is."""
    rules = host.get_fact(UfwRules)
    yield from _firewalld(tuple(firewall.firewalld(wanted)))
    yield from _ufw([] if rules is None else firewall.ufw(wanted, rules))
    yield from _ufw_files(wanted.of_modes.ufw)
    host.noop("no firewall is in the way")


@operation()
def closed(links: tuple[str, ...]) -> Generator[StringCommand]:
    """Have nothing of *links* in firewalld and ufw any more."""
    of_modes = firewall.without_modes()
    settings = *firewall.firewalld_without(links), *of_modes.firewalld
    yield from _firewalld(settings)
    rules = host.get_fact(UfwRules)
    yield from _ufw(firewall.ufw_without(links, rules or ()))
    yield from _ufw_files(of_modes.ufw)
    host.noop("no firewall knows of them")


def _firewalld(pairs: tuple[tuple[str, str], ...]) -> Generator[StringCommand]:
    missing = host.get_fact(FirewalldDenies, questions=tuple(ask for ask, _ in pairs))
    for number in missing:
        yield StringCommand(pairs[number][1])
    if missing:
        # Rules that are in use stay where firewalld would not take what is written.
        yield StringCommand("firewall-cmd --check-config && firewall-cmd --reload")


def _ufw(commands: Iterable[str]) -> Generator[StringCommand]:
    for command in commands:
        yield StringCommand(command)


def _ufw_files(pairs: Iterable[tuple[str, str]]) -> Generator[StringCommand]:
    listed = tuple(pairs)
    missing = host.get_fact(UfwDenies, questions=tuple(ask for ask, _ in listed))
    for number in missing:
        yield StringCommand(listed[number][1])
    if missing:
        yield StringCommand("ufw reload")
