"""Bridges on booted machines, with the only NIC as the port: ssh is never lost for good."""

import re
import time
from pathlib import Path

import pytest

from groundplane_deploys.lab import up
from groundplane_deploys.lab.disk import root_of
from tests.deploys.virtualization.hosts import (
    LAB,
    SUBNET,
    bridge,
    hypervisor,
    install,
    on,
    power_off,
    run,
    start,
    write_site,
)
from tests.nodes.packages import NoPackages
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.nodes, pytest.mark.usefixtures("lab")]

PENDING = "var/lib/groundplane-bridge/pending"


BRIDGES = "groundplane_deploys.virtualization.bridges"


def good(node: str, *more: str) -> str:
    host = 11 if node == "h1" else 12
    return bridge(
        "br0",
        "host0",
        f"{SUBNET}.0/24, 'fd71::/64'",
        f"{SUBNET}.{host}, 'fd71::{host}'",
        f"gateways: [{SUBNET}.1, 'fd71::1']",
        *more,
    )


BAD = bridge("br0", "host0", "192.168.72.0/24", "192.168.72.12")
"""The address of another segment: the controller cannot come back."""


def test_the_nic_becomes_a_port_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", hypervisor("h1", good("h1", "mtu: 1400")))
    first = run(BRIDGES, site, "h1", bridge_timeout=30)
    assert first.code == 0, first.text
    shown = on("h1", "ip -brief -4 addr show")
    assert re.search(rf"^br0 +UP +{SUBNET}\.11/24", shown, re.M)
    assert "host0" not in shown
    assert on("h1", "basename $(readlink /sys/class/net/host0/master)") == "br0"
    assert on("h1", "cat /sys/class/net/{br0,host0}/mtu | sort -u") == "1400"
    assert on("h1", "sort -u /sys/class/net/{br0,host0}/address | wc -l") == "1"
    assert "via 192.168.71.1 dev br0" in on("h1", "ip route show default")

    second = run(BRIDGES, site, "h1", bridge_timeout=30)
    assert second.code == 0, second.text
    assert re.search(r"Grand total +\d+ +- +- +\d+", second.text)


def test_what_was_taken_away_by_hand_is_made_again(tmp_path: Path) -> None:
    more = bridge("br1", None, "192.168.73.0/24", "192.168.73.1")
    site = write_site(tmp_path / "site", hypervisor("h1", good("h1") + more))
    assert run(BRIDGES, site, "h1", bridge_timeout=30).code == 0
    assert "192.168.73.1/24" in on("h1", "ip -brief addr show br1")
    on("h1", "ip link delete br1")
    assert run(BRIDGES, site, "h1", bridge_timeout=30).code == 0
    assert "192.168.73.1/24" in on("h1", "ip -brief addr show br1")


def test_a_bridge_that_is_declared_no_more_goes(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", hypervisor("h1", good("h1")))
    done = run(BRIDGES, site, "h1", bridge_timeout=30)
    assert done.code == 0, done.text
    assert "br1" not in on("h1", "ls /sys/class/net /etc/systemd/network")


def test_a_network_that_cuts_the_controller_off_is_undone_in_time(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", hypervisor("h2", BAD))
    began = time.monotonic()
    done = run(BRIDGES, site, "h2", bridge_timeout=8)
    assert done.code != 0
    assert "not confirmed within 8 s, and that of the host is the one before" in done.text
    assert time.monotonic() - began < PATIENCE * 30
    assert f"{SUBNET}.12/24" in on("h2", "ip -brief addr show host0")
    assert on("h2", "ls /etc/systemd/network") == "10-host0.network"
    assert "br0" not in on("h2", "ls /sys/class/net")


def test_a_host_that_loses_power_meanwhile_boots_with_what_was_before(tmp_path: Path) -> None:
    site = write_site(tmp_path / "bad", hypervisor("h2", BAD))
    running = start(BRIDGES, site, "h2", bridge_timeout=600)
    try:
        switched = root_of(LAB, "h2") / PENDING / "switched"
        until(switched.exists, 30, "the change begins", every=0.1)
        power_off("h2")
    finally:
        running.kill()
        running.communicate()
    up(LAB)
    assert f"{SUBNET}.12/24" in on("h2", "ip -brief addr show host0")
    assert on("h2", "systemctl is-system-running --wait") == "running"
    assert "went down" in on("h2", "cat /var/lib/groundplane-bridge/undone/reason")

    site = write_site(tmp_path / "site", hypervisor("h2", good("h2")))
    again = run(BRIDGES, site, "h2", bridge_timeout=30)
    assert again.code == 0, again.text
    assert f"{SUBNET}.12/24" in on("h2", "ip -brief addr show br0")


def test_the_bridge_is_there_after_a_boot(tmp_path: Path) -> None:
    on("h2", "sync")
    power_off("h2")
    up(LAB)
    assert f"{SUBNET}.12/24" in on("h2", "ip -brief addr show br0")
    site = write_site(tmp_path / "site", hypervisor("h2", good("h2")))
    done = run(BRIDGES, site, "h2", bridge_timeout=30)
    assert re.search(r"Grand total +\d+ +- +- +\d+", done.text), done.text


def test_a_full_disk_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    directory = "/etc/systemd/network"
    more = bridge("br1", None, "192.168.73.0/24", "192.168.73.1")
    site = write_site(tmp_path / "site", hypervisor("h1", good("h1") + more))
    # A page for each file that is there, and for one that is not.
    pages = int(on("h1", f"ls {directory} | wc -l")) + 1
    on(
        "h1",
        f"cp -a {directory} /root/network && mount -t tmpfs -o size={pages * 4}k tmpfs {directory}"
        f" && cp -a /root/network/. {directory}",
    )
    before = on("h1", f"sha256sum {directory}/*")
    try:
        done = run(BRIDGES, site, "h1", bridge_timeout=30)
        assert done.code != 0
        assert "No space left on device" in done.text
        assert on("h1", f"sha256sum {directory}/*") == before
    finally:
        on("h1", f"umount {directory}")
    again = run(BRIDGES, site, "h1", bridge_timeout=30)
    assert again.code == 0, again.text
    assert "192.168.73.1/24" in on("h1", "ip -brief addr show br1")


def test_a_change_that_nobody_will_undo_any_more_is_undone_by_the_next(tmp_path: Path) -> None:
    """The ssh session ended between the two steps of the beginning."""
    on("h2", "cp -a /var/lib/groundplane-bridge/confirmed /var/lib/groundplane-bridge/pending")
    on(
        "h2",
        "cd /var/lib/groundplane-bridge/pending && mkdir -p old && cp -a new/. old && rm -f switched"
        " && ls /sys/class/net > before",
    )
    site = write_site(tmp_path / "site", hypervisor("h2", good("h2", "mtu: 1400")))
    done = run(BRIDGES, site, "h2", bridge_timeout=30)
    assert done.code == 0, done.text
    assert on("h2", "cat /sys/class/net/br0/mtu") == "1400"


def test_a_filter_that_drops_what_bridges_pass_is_told(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", hypervisor("h2", good("h2")))
    try:
        install("h2", "iptables")
    except NoPackages as error:
        pytest.skip(str(error))
    on(
        "h2",
        "sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=0",
    )
    on("h2", "iptables -P FORWARD DROP")
    done = run(BRIDGES, site, "h2")
    assert done.code != 0
    assert "[h2] iptables: the chain FORWARD drops what bridges pass" in done.text
    on("h2", "iptables -I FORWARD -m physdev --physdev-is-bridged -j ACCEPT")
    done = run(BRIDGES, site, "h2")
    assert done.code == 0, done.text


def test_a_nic_that_is_not_there_is_named(tmp_path: Path) -> None:
    networks = bridge("br0", "eth9", f"{SUBNET}.0/24", f"{SUBNET}.11")
    site = write_site(tmp_path / "site", hypervisor("h1", networks))
    done = run(BRIDGES, site, "h1", bridge_timeout=30)
    assert done.code != 0
    assert "there is no NIC eth9: there are br0, " in done.text
