"""Debian packages on a node, which itself has no way to a mirror: the machine of the lab fetches them."""

import shlex
import shutil
from pathlib import Path

from groundplane_deploys.lab import Lab
from groundplane_deploys.lab.command import attempt, explain
from groundplane_deploys.lab.disk import root_of
from tests.nodes.conftest import Deployed


class NoPackages(Exception):
    """They cannot be had on this machine."""


def fetch(lab: Lab, node: str, name: str) -> list[Path]:
    """Return the packages that *name* needs on *node*, kept beside the lab's base tree."""
    cache = lab.cache / "packages" / name
    (cache / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    status = root_of(lab, node) / "var/lib/dpkg/status"
    options = [f"Dir::Cache={cache}", f"Dir::State::status={status}", "Debug::NoLocking=1"]
    apt = ["apt-get", "-qq", *(f"-o{each}" for each in options)]
    for arguments in (
        ["autoclean"],
        ["install", "--yes", "--no-install-recommends", "--download-only", name],
    ):
        done = attempt([*apt, *arguments])
        if done.returncode:
            raise NoPackages(f"{name}: {explain(done)}")
    return sorted((cache / "archives").glob("*.deb"))


def install(site: Deployed, node: str, name: str) -> list[str]:
    """Install *name* on *node* as apt does there, daemons started; return what `remove` takes."""
    there = root_of(site.lab, node) / "opt/lab/packages"
    packages = fetch(site.lab, node, name)
    there.mkdir()
    try:
        for each in packages:
            shutil.copy(each, there)
        site.on(node, "DEBIAN_FRONTEND=noninteractive dpkg --install /opt/lab/packages/*.deb")
    finally:
        shutil.rmtree(there)
    return [each.name.split("_")[0] for each in packages]


def remove(site: Deployed, node: str, packages: list[str]) -> None:
    site.on(node, f"dpkg --purge {shlex.join(packages)}")
