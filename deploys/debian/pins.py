"""Which version a package is to have: names and versions as in apt_preferences(5)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Versions:
    """What a host has of a package, and what its archives have: the newest first."""

    installed: str | None = None
    offered: tuple[str, ...] = ()


def pins_of(packages: Iterable[str], pins: Mapping[str, str]) -> dict[str, str]:
    """Return the versions that *pins* want of those of *packages* that they name."""
    found = {}
    for package in packages:
        names = [key for key in sorted(pins) if any(_matches(one, package) for one in key.split())]
        if names:
            # The name itself comes before what it is matched by.
            found[package] = pins[package if package in names else names[0]]
    return found


def is_kept(wanted: str, versions: Versions) -> bool:
    return versions.installed is not None and _matches(wanted, versions.installed)


def choose(wanted: str, versions: Versions) -> str | None:
    """Return the newest version that *wanted* allows, None where there is none."""
    return next((each for each in versions.offered if _matches(wanted, each)), None)


def _matches(pattern: str, text: str) -> bool:
    if len(pattern) > 1 and pattern[0] == pattern[-1] == "/":
        return re.search(pattern[1:-1], text, re.IGNORECASE) is not None
    return fnmatchcase(text, pattern)
