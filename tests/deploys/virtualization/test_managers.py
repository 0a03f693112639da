"""Bridges where ifupdown or netplan configures the NIC, on hosts that were made so."""

import re
from pathlib import Path

import pytest

from groundplane_deploys.lab import up
from tests.deploys.virtualization.hosts import (
    LAB,
    SUBNET,
    bridge,
    hypervisor,
    install,
    on,
    power_off,
    run,
    write_site,
)
from tests.nodes.packages import NoPackages

pytestmark = [pytest.mark.nodes, pytest.mark.usefixtures("lab")]

BRIDGES = "groundplane_deploys.virtualization.bridges"
NO_CHANGE = r"Grand total +\d+ +- +- +\d+"

INTERFACES = f"""\
source /etc/network/interfaces.d/*
auto lo host0
iface lo inet loopback
iface host0 inet static
    address {SUBNET}.NUMBER/24
    gateway {SUBNET}.1
iface host0 inet6 static
    address fd71::NUMBER/64
    gateway fd71::1
    dad-attempts 0
"""

NETPLAN = f"""\
network:
  version: 2
  renderer: networkd
  ethernets:
    host0:
      addresses: [{SUBNET}.NUMBER/24, "fd71::NUMBER/64"]
      routes: [{{to: 0.0.0.0/0, via: {SUBNET}.1}}]
"""


def network(number: int, subnet: str = SUBNET) -> str:
    return bridge(
        "br0",
        "host0",
        f"{subnet}.0/24, 'fd71::/64'",
        f"{subnet}.{number}, 'fd71::{number}'",
        f"gateways: [{subnet}.1]",
    )


def configure_with(node: str, package: str, prepare: str) -> None:
    try:
        install(node, package)
    except NoPackages as error:
        pytest.skip(str(error))
    on(node, prepare)
    power_off(node)
    up(LAB)


def check(node: str, number: int, tmp_path: Path) -> None:
    """A wrong bridge is undone, a right one stays over a boot, and a second run changes nothing."""
    bad = write_site(tmp_path / "bad", hypervisor(node, bridge(
        "br0", "host0", "192.168.72.0/24", f"192.168.72.{number}"
    )))  # fmt: skip
    done = run(BRIDGES, bad, node, bridge_timeout=8)
    assert "that of the host is the one before" in done.text, done.text
    assert f"{SUBNET}.{number}/24" in on(node, "ip -brief addr show host0")
    assert "br0" not in on(node, "ls /sys/class/net")

    site = write_site(tmp_path / "site", hypervisor(node, network(number)))
    done = run(BRIDGES, site, node, bridge_timeout=30)
    assert done.code == 0, done.text
    shown = on(node, "ip -brief addr show br0")
    assert f"{SUBNET}.{number}/24" in shown
    assert f"fd71::{number}/64" in shown
    assert SUBNET not in on(node, "ip -brief addr show host0")
    assert re.search(NO_CHANGE, run(BRIDGES, site, node).text)

    power_off(node)
    up(LAB)
    assert f"{SUBNET}.{number}/24" in on(node, "ip -brief addr show br0")
    assert re.search(NO_CHANGE, run(BRIDGES, site, node).text)


def test_ifupdown(tmp_path: Path) -> None:
    text = INTERFACES.replace("NUMBER", "12")
    configure_with(
        "h2",
        "ifupdown",
        f"cat > /etc/network/interfaces <<'E'\n{text}E\n"
        "systemctl disable --quiet systemd-networkd.service systemd-networkd.socket;"
        " systemctl enable --quiet networking.service; sync",
    )
    assert on(
        "h2", "systemctl is-active networking; systemctl is-active systemd-networkd || true"
    ) == ("active\ninactive")
    check("h2", 12, tmp_path)
    assert "host0 inet static" in on(
        "h2", "cat /var/lib/groundplane-bridge/original/etc/network/interfaces"
    )


def test_netplan(tmp_path: Path) -> None:
    text = NETPLAN.replace("NUMBER", "11")
    configure_with(
        "h1",
        "netplan.io",
        f"cat > /etc/netplan/50-installed.yaml <<'E'\n{text}E\n"
        # netplan asks udev for the names of NICs, and nodes of the lab have no devices for one.
        "ln -s /bin/true /usr/local/bin/udevadm;"
        " chmod 600 /etc/netplan/*.yaml; rm /etc/systemd/network/10-host0.network; sync",
    )
    assert "10-netplan-host0.network" in on("h1", "cat /run/systemd/netif/links/*")
    check("h1", 11, tmp_path)
