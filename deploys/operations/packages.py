"""Debian's packages, at the newest version that apt's settings allow."""

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from deploys.facts.machine import Upgradable


@operation()
def upgraded(packages: tuple[str, ...]) -> Generator[StringCommand]:
    """Have those of *packages* that are installed at their newest version; files of /etc stay."""
    waiting = host.get_fact(Upgradable, packages=packages)
    if not waiting:
        host.noop("all of them are the newest")
        return
    yield StringCommand(
        "DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Options::=--force-confold",
        "install --only-upgrade", *map(QuoteString, waiting),
    )  # fmt: skip
