"""A bare node whose own link is declared: made in stages, and undone where it would be lost."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplane_deploys.catalog import ROOT
from groundplane_deploys.lab.disk import root_of
from tests.sites import CLUSTER, Site, site_of
from tests.waiting import until

pytestmark = pytest.mark.nodes

PREFIX = "gp-testup"
UPLINK = "groundplane_deploys.machine.uplink.uplink"
LINKS = "groundplane_deploys.machine.links.links"
SITE = (
    CLUSTER
    + """\
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: u1}
spec:
  addresses: [192.168.50.31, "fd50::31"]
  management: {host: 192.168.50.31}
  uplink: {device: host0, cidrs: [192.168.50.0/24, "fd50::/64"], gateways: [192.168.50.1], mtu: 1400}
"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    source = tmp_path_factory.mktemp("uplink")
    (source / "site.yaml").write_text(SITE)
    with site_of(source, PREFIX) as made:
        made.run("groundplane", "allocate", str(source))
        yield made


def test_the_link_is_as_declared_and_ssh_goes_on(site: Site) -> None:
    assert "Uplink | The uplink is as declared" in site.deploy("nodes", UPLINK)
    assert "1400" == site.on("u1", "cat /sys/class/net/host0/mtu").strip()
    assert "default via 192.168.50.1 dev host0" in site.on("u1", "ip route")
    assert "fd50::31/64" in site.on("u1", "ip -6 address show dev host0 scope global")
    assert [] == site.deploy("nodes", UPLINK)


def test_one_that_would_be_lost_is_undone_by_the_node(site: Site) -> None:
    """It has another address than the one that it is reached by."""
    lost = SITE.replace('[192.168.50.31, "fd50::31"]', '[192.0.2.31, "fd50::31"]')
    lost = lost.replace('[192.168.50.0/24, "fd50::/64"]', '[192.0.2.0/24, "fd50::/64"]')
    lost = lost.replace("gateways: [192.168.50.1]", "gateways: [192.0.2.1]")
    declared = site.source / "site.yaml"
    declared.write_text(lost)
    try:
        environment = {"GROUNDPLANE_LAB": PREFIX, "GROUNDPLANE_SOURCE": str(site.source)}
        limit = ("--data", "bridge_timeout=8")
        program = str(Path(sys.executable).with_name("pyinfra"))
        done = subprocess.run(
            [program, "-y", *limit, "inventories/lab.py", UPLINK],
            cwd=ROOT,
            env=os.environ | environment,
            text=True,
            capture_output=True,
            timeout=120,
        )
        assert 0 != done.returncode
        assert "The new network was not confirmed within 8 s" in done.stderr, done.stderr
    finally:
        declared.write_text(SITE)
    assert "192.168.50.31/24" in site.on("u1", "ip -4 address show dev host0")
    assert [] == site.deploy("nodes", UPLINK)


INTERFACES = """\
auto lo host0
iface lo inet loopback
iface host0 inet static
    address 192.168.50.31/24
    gateway 192.168.50.1
iface host0 inet6 static
    address fd50::31/64
    accept_ra 0
    dad-attempts 0
"""


def test_a_host_of_ifupdown_waits_for_nothing_at_its_next_boot(site: Site, tmp_path: Path) -> None:
    """The deploy starts networkd, which has no link there that it could wait for."""
    root = root_of(site.lab, "u1")
    subprocess.run(
        ["apt-get", "download", "ifupdown"], cwd=tmp_path, check=True, capture_output=True
    )
    (package,) = tmp_path.glob("ifupdown_*.deb")
    shutil.copy(package, root / "root/ifupdown.deb")
    (root / "etc/network").mkdir(exist_ok=True)
    (root / "etc/network/interfaces").write_text(INTERFACES)
    networkd = "/etc/systemd/network"
    site.on(
        "u1",
        f"dpkg --install /root/ifupdown.deb && rm {networkd}/*.network"
        f" && ln -s /dev/null {networkd}/80-container-host0.network"
        " && systemctl disable systemd-networkd.service systemd-networkd.socket"
        " systemd-networkd-wait-online.service"
        " && systemctl add-wants multi-user.target network-online.target",
    )
    _reboot(site)
    assert "inactive" == site.on("u1", "systemctl is-active systemd-networkd || true").strip()
    site.deploy("nodes", LINKS)
    _reboot(site)
    assert "running" == site.on("u1", "systemctl is-system-running --wait").strip()
    assert "active" == site.on("u1", "systemctl is-active network-online.target").strip()
    assert "configured" in site.on("u1", "networkctl status groundplane0")


def _reboot(site: Site) -> None:
    """Switch u1 off and on, and wait for its ssh."""
    boot = "cat /proc/sys/kernel/random/boot_id; systemctl show -P UserspaceTimestamp"
    before = site.on("u1", boot)
    site.on("u1", "systemctl reboot || true")

    def booted() -> bool:
        try:
            return before != site.on("u1", boot)
        except (AssertionError, subprocess.TimeoutExpired):
            return False

    until(booted, 60, "u1 has booted", every=0.2)
