"""Facts about Debian's packages, as apt sees them."""

import re
from collections.abc import Iterable

from pyinfra.api import FactBase, QuoteString, StringCommand

from groundplane_deploys.debian.pins import Versions

_PACKAGE = re.compile(r"(\S+):")
_INSTALLED = re.compile(r"  Installed: (\S+)")
_VERSION = re.compile(r" (?:\*\*\*|   ) (\S+) -?\d+")
_SOURCE = re.compile(r" {6,}-?\d+ (\S+).*")
_STATUS = "/var/lib/dpkg/status"


class PackageVersions(FactBase[dict[str, Versions]]):
    """The versions of *packages*, without those that apt does not know (apt-cache policy)."""

    default = dict

    def command(self, packages: tuple[str, ...]) -> StringCommand:
        return StringCommand("LC_ALL=C apt-cache policy", *map(QuoteString, packages))

    def process(self, output: Iterable[str]) -> dict[str, Versions]:
        installed: dict[str, str | None] = {}
        offered: dict[str, list[str]] = {}
        name = version = ""
        for line in output:
            if found := _PACKAGE.fullmatch(line):
                name = found[1]
                installed[name], offered[name] = None, []
            elif found := _INSTALLED.fullmatch(line):
                installed[name] = None if found[1] == "(none)" else found[1]
            elif found := _VERSION.fullmatch(line):
                version = found[1]
            # dpkg also lists some packages that were removed.
            elif (
                (found := _SOURCE.fullmatch(line))
                and found[1] != _STATUS
                and version not in offered[name]
            ):
                offered[name].append(version)
        return {name: Versions(installed[name], tuple(offered[name])) for name in installed}


class PackageSources(FactBase[dict[str, str]]):
    """The source packages of those *packages* whose source has another name (apt-cache show)."""

    default = dict

    def command(self, packages: tuple[str, ...]) -> StringCommand:
        shown = map(QuoteString, packages)
        return StringCommand("apt-cache show --no-all-versions", *shown, "2>/dev/null || true")

    def process(self, output: Iterable[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        name = ""
        for line in output:
            field, _, rest = line.partition(": ")
            if field == "Package":
                name = rest.strip()
            elif field == "Source":
                found[name] = rest.split()[0]
        return found


class OnHold(FactBase[list[str]]):
    """The packages on hold, which apt does not change (apt-mark hold)."""

    default = list

    def command(self) -> str:
        return "apt-mark showhold"

    def process(self, output: Iterable[str]) -> list[str]:
        return [line.strip() for line in output if line.strip()]


class UpgradeWaits(FactBase[bool]):
    """Whether apt would change something for *packages*, or fails with them (apt-get -s)."""

    def command(self, packages: tuple[str, ...]) -> StringCommand:
        return StringCommand(
            "LC_ALL=C apt-get -s --no-install-recommends --only-upgrade install",
            *map(QuoteString, packages),
            "2>&1 || true",
        )

    def process(self, output: Iterable[str]) -> bool:
        return any(line.startswith(("Inst ", "Remv ", "E: ")) for line in output)
