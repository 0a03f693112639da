"""Debian's packages: at the versions that are wanted, and at the newest that apt may take."""

from collections.abc import Generator, Mapping

from pyinfra import host
from pyinfra.api import FunctionCommand, QuoteString, StringCommand, operation

from groundplane_deploys.debian.pins import Versions, by_source, choose, is_kept, pins_of
from groundplane_deploys.facts.packages import OnHold, PackageSources, PackageVersions, UpgradeWaits
from groundplane_deploys.operations.refusal import refusal

# Files of /etc stay as they are. Only a pin may have apt take an older version.
_INSTALL = (
    "DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Options::=--force-confold"
    " --no-install-recommends --allow-downgrades"
)


def _wanted(packages: tuple[str, ...], pins: Mapping[str, str]) -> dict[str, str]:
    sources = host.get_fact(PackageSources, packages=packages) if by_source(pins) else {}
    return pins_of(packages, pins, sources)


@operation()
def listed(
    packages: tuple[str, ...], pins: Mapping[str, str] | None = None
) -> Generator[StringCommand]:
    """Refresh apt's package lists if something must be installed.

    A new host may not have lists at all; older lists may not contain a version yet.
    """
    there = host.get_fact(PackageVersions, packages=packages)
    wanted = _wanted(packages, pins or {})
    versions = {package: there.get(package, Versions()) for package in packages}
    if all(is_kept(wanted.get(package, "*"), each) for package, each in versions.items()):
        host.noop("nothing is to be installed")
        return
    yield StringCommand("apt-get update")


@operation()
def pinned(
    packages: tuple[str, ...], pins: Mapping[str, str]
) -> Generator[FunctionCommand | StringCommand]:
    """Install the *packages* that *pins* name at allowed versions, even if these are older."""
    wanted = _wanted(packages, pins)
    there = host.get_fact(PackageVersions, packages=tuple(wanted)) if wanted else {}
    versions = {package: there.get(package, Versions()) for package in wanted}
    off = {
        package: each for package, each in versions.items() if not is_kept(wanted[package], each)
    }
    if not off:
        host.noop("they have the versions that are wanted")
        return
    chosen = {package: choose(wanted[package], each) for package, each in off.items()}
    missing = [
        f"{package}: no version {wanted[package]}, there are {', '.join(off[package].offered) or 'none'}"
        for package, version in chosen.items()
        if version is None
    ]
    if missing:
        yield refusal(f"{'; '.join(missing)} (package_versions)")
    names = [f"{package}={version}" for package, version in chosen.items()]
    yield StringCommand(_INSTALL, "install", *map(QuoteString, names))


@operation()
def upgraded(packages: tuple[str, ...]) -> Generator[StringCommand]:
    """Upgrade those *packages* that are installed and not on hold to their newest version."""
    held = host.get_fact(OnHold)
    free = tuple(package for package in packages if package not in held)
    if not free or not host.get_fact(UpgradeWaits, packages=free):
        host.noop("all of them are the newest")
        return
    yield StringCommand(_INSTALL, "install --only-upgrade", *map(QuoteString, free))
