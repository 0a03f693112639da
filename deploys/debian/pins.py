"""Pinned versions of packages: names and versions as in apt_preferences(5)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Versions:
    """The installed version of a package, and those in the host's archives, newest first."""

    installed: str | None = None
    offered: tuple[str, ...] = ()


def by_source(pins: Iterable[str]) -> bool:
    """Return whether some of *pins* name packages by their source package."""
    return any(one.startswith("src:") for key in pins for one in key.split())


def pins_of(
    packages: Iterable[str], pins: Mapping[str, str], sources: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the versions that *pins* require for the *packages* they name.

    *sources* are the source packages of those whose source has another name.
    """
    found = {}
    for package in packages:
        own = (package, f"src:{(sources or {}).get(package, package)}")
        names = [
            key
            for key in sorted(pins)
            if any(_matches(one, text) for one in key.split() for text in own)
        ]
        if names:
            # An exact name takes precedence over a pattern.
            found[package] = pins[package if package in names else names[0]]
    return found


def is_kept(wanted: str, versions: Versions) -> bool:
    return versions.installed is not None and _matches(wanted, versions.installed)


def choose(wanted: str, versions: Versions) -> str | None:
    """Return the newest version that *wanted* allows, or None if there is none."""
    return next((each for each in versions.offered if _matches(wanted, each)), None)


def _matches(pattern: str, text: str) -> bool:
    if len(pattern) > 1 and pattern[0] == pattern[-1] == "/":
        return re.search(pattern[1:-1], text, re.IGNORECASE) is not None
    return fnmatchcase(text, pattern)
