"""Which version a package is to have, and how what apt prints is read."""

import pytest

from groundplane_deploys.debian.pins import Versions, by_source, choose, is_kept, pins_of
from groundplane_deploys.facts.packages import OnHold, PackageSources, PackageVersions, UpgradeWaits

POLICY = """\
bind9:
  Installed: 1:9.18.24-1
  Candidate: 1:9.18.28-1
  Version table:
     1:9.18.28-1 500
        500 http://deb.example.test/security bookworm-security/main amd64 Packages
        500 http://deb.example.test/debian bookworm/main amd64 Packages
 *** 1:9.18.24-1 100
        100 /var/lib/dpkg/status
gone:
  Installed: (none)
  Candidate: (none)
  Version table:
     1.0 -1
        100 /var/lib/dpkg/status
kmod:
  Installed: (none)
  Candidate: 30
  Package pin: 30
  Version table:
     31 500
        500 file:/opt/archive ./ Packages
     30 1001
        500 file:/opt/archive ./ Packages
"""


def test_versions_are_read_from_the_policy_of_apt() -> None:
    assert PackageVersions().process(POLICY.splitlines()) == {
        "bind9": Versions("1:9.18.24-1", ("1:9.18.28-1",)),
        "gone": Versions(None, ()),
        "kmod": Versions(None, ("31", "30")),
    }


@pytest.mark.parametrize(
    ("pins", "found"),
    [
        ({}, {}),
        ({"bind9": "1"}, {"bind9": "1"}),
        ({"bind9*": "1"}, {"bind9": "1", "bind9-utils": "1"}),
        ({"bind9*": "1", "bind9": "2"}, {"bind9": "2", "bind9-utils": "1"}),
        ({"bind9-utils kmod": "1"}, {"bind9-utils": "1", "kmod": "1"}),
        ({"/^bind9-/": "1"}, {"bind9-utils": "1"}),
        ({"other": "1"}, {}),
        ({"src:bind9": "1"}, {"bind9": "1", "bind9-utils": "1"}),
        ({"src:bind9": "1", "bind9-utils": "2"}, {"bind9": "1", "bind9-utils": "2"}),
        ({"src:k*": "1"}, {"kmod": "1"}),
    ],
)
def test_a_pin_names_packages_as_in_the_preferences_of_apt(
    pins: dict[str, str], found: dict[str, str]
) -> None:
    assert found == pins_of(["bind9", "bind9-utils", "kmod"], pins, {"bind9-utils": "bind9"})


def test_what_packages_were_built_from_is_asked_where_a_pin_names_it() -> None:
    shown = ["Package: bind9", "Version: 1", "", "Package: bind9-utils", "Source: bind9 (1)"]
    assert {"bind9-utils": "bind9"} == PackageSources().process(shown)
    assert by_source({"kmod src:bind9": "1"})
    assert not by_source({"kmod": "1"})


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [("2.0", "2.0"), ("1.*", "1.1"), ("*", "2.0"), ("/^1\\.0/", "1.0"), ("1", None)],
)
def test_the_newest_version_that_a_pin_allows(wanted: str, chosen: str | None) -> None:
    assert chosen == choose(wanted, Versions(None, ("2.0", "1.1", "1.0")))


def test_a_version_that_is_allowed_is_kept_though_there_is_a_newer_one() -> None:
    assert is_kept("1.*", Versions("1.0", ("1.1",)))
    assert not is_kept("1.*", Versions("2.0", ("1.1",)))
    assert not is_kept("*", Versions(None, ("1.1",)))


@pytest.mark.parametrize(
    ("lines", "waits"),
    [
        (["Inst bind9 [1:9.18.1] (1:9.18.2 Debian:12 [amd64])"], True),
        (["bind9 is already the newest version (1:9.18.2)."], False),
        (["Skipping kmod, it is not installed and only upgrades are requested."], False),
        # Then apt itself says so, as an error of the host.
        (["E: Unable to locate package bind"], True),
    ],
)
def test_an_upgrade_waits(lines: list[str], waits: bool) -> None:
    assert waits is UpgradeWaits().process(["Reading package lists...", *lines])


def test_packages_on_hold() -> None:
    assert ["bind9", "kmod"] == OnHold().process(["bind9", "kmod", ""])
