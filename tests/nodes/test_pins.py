"""Versions of Debian's packages: those that apt is to keep to, and those that an upgrade brings."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.nodes.archive import Archive, Package, archive_of
from tests.nodes.conftest import Deployed
from tests.nodes.test_upgrade import pyinfra

pytestmark = pytest.mark.nodes

SYSTEM = ("inventories/lab.py", "groundplane_deploys.machine.system.system")
UPGRADE = ("inventories/lab.py", "deploys/upgrade.py")
With = Callable[[str], Deployed]


def tiny(version: str, **fields: str) -> tuple[Package, Package]:
    """Return a package and its library, which has to have the same version, as BIND's has."""
    return (
        Package("tiny", version, {"Depends": f"tiny-lib (= {version})", **fields}),
        Package("tiny-lib", version),
    )


def free(version: str) -> Package:
    return Package("free", version, files={"etc/free.conf": f"version {version}\n"})


THREE = (*tiny("1.0"), *tiny("1.1"), *tiny("2.0"), free("1.0"))


@pytest.fixture
def archive(site: Deployed) -> Iterator[Archive]:
    with archive_of(site, "n1") as made:
        made.publish(*THREE)
        yield made


def pinned(version: str, *packages: str) -> str:
    return f"packages = {[*packages, 'tiny']!r}\npackage_versions = {{'tiny*': {version!r}}}"


def deploy(site: Deployed, *deploys: str) -> list[str]:
    """Deploy to n1; return what it changed, apart from what an upgrade always asks."""
    done = pyinfra(site, "--json", "--limit", "n1", "--group-data", site.group_data, *deploys)
    assert 0 == done.returncode, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    names = [each["name"] for each in found["results"]["operations"] if each["success"]]
    return [name for name in names if not name.startswith(("Before |", "After |"))]


def test_a_version_that_is_pinned_is_the_one_that_is_installed(
    archive: Archive, with_data: With
) -> None:
    site = with_data(pinned("1.*"))
    assert deploy(site, *SYSTEM)
    assert {"tiny": "1.1", "tiny-lib": "1.1"} == archive.installed("tiny", "tiny-lib")
    assert [] == deploy(site, *SYSTEM)


@pytest.mark.parametrize(("before", "after"), [("1.0", "2.0"), ("2.0", "1.1")])
def test_a_pin_that_changes_brings_its_version_be_it_an_older_one(
    archive: Archive, with_data: With, before: str, after: str
) -> None:
    deploy(with_data(pinned(before)), *SYSTEM)
    assert before == archive.installed("tiny")["tiny"]
    site = with_data(pinned(after))
    assert deploy(site, *SYSTEM)
    assert {"tiny": after, "tiny-lib": after} == archive.installed("tiny", "tiny-lib")
    assert [] == deploy(site, *SYSTEM)


def test_a_version_that_is_new_in_the_archive_can_be_pinned(
    archive: Archive, with_data: With
) -> None:
    deploy(with_data(pinned("2.0")), *SYSTEM)
    archive.publish(*THREE, *tiny("2.1"))
    deploy(with_data(pinned("2.1")), *SYSTEM)
    assert "2.1" == archive.installed("tiny")["tiny"]


def test_without_a_pin_the_version_that_is_there_stays(archive: Archive, with_data: With) -> None:
    site = with_data("packages = ['free']")
    deploy(site, *SYSTEM)
    archive.publish(*THREE, free("2.0"))
    archive.forget()
    assert [] == deploy(site, *SYSTEM)
    assert {"free": "1.0"} == archive.installed("free")


def test_an_upgrade_brings_what_is_allowed_and_not_what_a_pin_forbids(
    archive: Archive, site: Deployed, with_data: With
) -> None:
    archive.publish(*tiny("1.0"), free("1.0"))
    allowed = with_data(pinned("1.*", "free"))
    deploy(allowed, *SYSTEM)
    site.on("n1", "echo changed > /etc/free.conf")
    archive.publish(
        *tiny("1.1", Recommends="more"), *tiny("2.0"), Package("more", "1.0"), free("2.0")
    )
    archive.forget()
    assert deploy(allowed, *UPGRADE)
    assert {"tiny": "1.1", "tiny-lib": "1.1", "free": "2.0"} == archive.installed(
        "tiny", "tiny-lib", "free", "more"
    )
    assert "changed\n" == site.on("n1", "cat /etc/free.conf")
    assert ["tiny-lib"] == site.on("n1", "apt-mark showauto tiny tiny-lib").split()
    assert [] == deploy(allowed, *UPGRADE)


def test_an_upgrade_keeps_to_a_pin_that_is_new(archive: Archive, with_data: With) -> None:
    deploy(with_data("packages = ['tiny']"), *SYSTEM)
    assert "2.0" == archive.installed("tiny")["tiny"]
    archive.publish(*THREE, *tiny("3.0"))
    archive.forget()
    assert deploy(with_data(pinned("2.*")), *UPGRADE)
    assert "2.0" == archive.installed("tiny")["tiny"]


def test_an_upgrade_leaves_packages_on_hold_alone(
    archive: Archive, site: Deployed, with_data: With
) -> None:
    both = with_data("packages = ['tiny', 'free']")
    deploy(both, *SYSTEM)
    site.on("n1", "apt-mark hold free")
    archive.publish(*THREE, *tiny("3.0"), free("2.0"))
    archive.forget()
    deploy(both, *UPGRADE)
    assert {"tiny": "3.0", "free": "1.0"} == archive.installed("tiny", "free")
    assert [] == deploy(both, *UPGRADE)


def test_a_version_that_is_not_in_the_archive_is_an_error_of_that_host_alone(
    archive: Archive, site: Deployed, with_data: With
) -> None:
    data = with_data(pinned("3.*")).group_data
    with archive_of(site, "n2") as other:
        other.publish(*tiny("3.0"))
        done = pyinfra(site, "--limit", "n1", "--limit", "n2", "--group-data", data, *SYSTEM)
        assert {"tiny": "3.0", "tiny-lib": "3.0"} == other.installed("tiny", "tiny-lib")
    assert 0 != done.returncode
    told = [line for line in done.stderr.splitlines() if "package_versions" in line]
    assert 1 == len(told), done.stderr
    assert "[n1]" in told[0]
    assert "tiny: no version 3.*, there are 2.0, 1.1, 1.0 (package_versions)" in told[0]
    assert {} == archive.installed("tiny", "tiny-lib")


def test_an_upgrade_to_a_version_that_is_not_there_upgrades_nothing(
    archive: Archive, with_data: With
) -> None:
    deploy(with_data(pinned("1.0", "free")), *SYSTEM)
    archive.publish(*THREE, free("2.0"))
    archive.forget()
    site = with_data(pinned("3.*", "free"))
    done = pyinfra(site, "--limit", "n1", "--group-data", site.group_data, *UPGRADE)
    assert 0 != done.returncode
    assert "tiny: no version 3.*" in done.stderr
    assert {"tiny": "1.0", "free": "1.0"} == archive.installed("tiny", "free")


def test_an_upgrade_of_a_package_that_nobody_has_is_an_error(
    archive: Archive, with_data: With
) -> None:
    """And not, as apt's silence would have it, no work to do."""
    site = with_data("packages = ['free']\nupgrade_packages = ['free', 'no-such-package']")
    deploy(site, *SYSTEM)
    archive.publish(free("2.0"))
    archive.forget()
    done = pyinfra(site, "--limit", "n1", "--group-data", site.group_data, *UPGRADE)
    assert 0 != done.returncode
    assert "Unable to locate package no-such-package" in done.stderr, done.stderr
