"""A bare node whose own link is a bond that ssh comes by: made, used, changed, and undone."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from ipaddress import ip_interface
from pathlib import Path
from threading import Event

import pytest

from groundplane_deploys.catalog import ROOT
from groundplane_deploys.lab.network import BRIDGE, node_namespace
from tests.nodes.bonding import needs_bonds
from tests.sites import CLUSTER, Site, site_of
from tests.waiting import until

pytestmark = pytest.mark.nodes

PREFIX = "gp-testbond"
UPLINK = "groundplane_deploys.machine.uplink.uplink"
NO_CHANGE = r"Grand total +\d+ +- +- +\d+"
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
  uplink:
    device: bond0
    bond: {members: [host0, host1], mode: active-backup}
    cidrs: [192.168.50.0/24, "fd50::/64"]
    gateways: [192.168.50.1]
    mtu: 1400
"""
)
LACP = SITE.replace("active-backup", "802.3ad")
TAGGED = LACP.replace("    mtu: 1400", "    mtu: 1400\n    vlan: 7")
# No wheels are built, as for what installs the agent.
INVENTORY = """\
from groundplane_deploys.catalog import read_source
from groundplane_deploys.hosts import groups_of
from groundplane_deploys.lab import client_key, enter, known_hosts
from groundplane_deploys.lab.site import lab_of

lab = lab_of(read_source())
enter(lab)
own = {"ssh_key": str(client_key(lab)), "ssh_known_hosts_file": str(known_hosts(lab))}
nodes = [(name, data | own) for name, data in groups_of(read_source())["nodes"]]
"""
PORTS = {"host0": "to-u1", "host1": "to-u1-too"}  # and what they are to the switch


def on_switch(*commands: str) -> str:
    """Run *commands* of ip in the lab's network, whose bridge is the node's switch."""
    return "".join(
        subprocess.run(
            ["ip", "-n", PREFIX, *command.split()], check=True, text=True, capture_output=True
        ).stdout
        for command in commands
    )


def pings(site: Site) -> str:
    """Return the summary of five seconds of pings from the node to the lab."""
    return site.on("u1", "ping -q -i 0.1 -c 50 192.168.50.1 || true")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    needs_bonds()
    source = tmp_path_factory.mktemp("bond")
    (source / "site.yaml").write_text(SITE)
    with site_of(source, PREFIX) as site:
        site.run("groundplane", "allocate", str(source))
        node = node_namespace(PREFIX, "u1")
        on_switch(
            f"link add {PORTS['host1']} type veth peer name host1 netns {node}",
            f"link set {PORTS['host1']} master {BRIDGE} up",
        )
        (source.parent / "bond.py").write_text(INVENTORY)
        yield site


def declare(site: Site, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Have the node's uplink be what *text* says, and return what pyinfra says of it."""
    (site.source / "site.yaml").write_text(text)
    inventory = str(site.source.parent / "bond.py")
    return subprocess.run(
        [str(Path(sys.executable).with_name("pyinfra")), "-y", *options, inventory, UPLINK],
        cwd=ROOT,
        env=os.environ | {"GROUNDPLANE_LAB": PREFIX, "GROUNDPLANE_SOURCE": str(site.source)},
        text=True,
        capture_output=True,
    )


def is_made(done: subprocess.CompletedProcess[str]) -> bool:
    assert done.returncode == 0, done.stdout + done.stderr
    return re.search(NO_CHANGE, done.stderr + done.stdout) is None


def bond(site: Site) -> str:
    return site.on("u1", "cat /proc/net/bonding/bond0")


def addresses(site: Site, device: str) -> set[str]:
    shown = site.on("u1", f"ip -o addr show dev {device} scope global").split()
    return {str(ip_interface(word)) for word in shown if "/" in word and word[0] != "\\"}


def test_the_bond_has_the_addresses_and_ssh_goes_on(site: Site) -> None:
    assert is_made(declare(site, SITE))
    shown = bond(site)
    assert "Bonding Mode: fault-tolerance (active-backup)" in shown
    assert 3 == shown.count("MII Status: up"), shown
    assert {"192.168.50.31/24", "fd50::31/64"} == addresses(site, "bond0")
    assert set() == addresses(site, "host0")
    mtus = site.on("u1", "cd /sys/class/net; cat bond0/mtu host0/mtu host1/mtu").split()
    assert ["1400"] * 3 == mtus
    assert "default via 192.168.50.1 dev bond0" in site.on("u1", "ip route")
    assert not is_made(declare(site, SITE))


@pytest.mark.parametrize("nic", ["host0", "host1"])
def test_either_nic_may_be_cut_off(site: Site, nic: str) -> None:
    port = PORTS[nic]
    on_switch(f"link set {port} down")
    try:
        shown, lost = bond(site), pings(site)
    finally:
        on_switch(f"link set {port} up")
    assert f"Currently Active Slave: {nic}" not in shown
    assert 2 == shown.count("MII Status: up"), shown
    assert int(lost.split(" received")[0].split()[-1]) > 40, lost
    until(lambda: 3 == bond(site).count("MII Status: up"), 10, "both are up")


def test_another_mode_is_that_of_the_bond(site: Site) -> None:
    assert is_made(declare(site, LACP))
    assert "Bonding Mode: IEEE 802.3ad" in bond(site)
    assert {"192.168.50.31/24", "fd50::31/64"} == addresses(site, "bond0")


def test_lacp_has_both_nics_work_and_goes_on_with_either(site: Site) -> None:
    aggregate()
    until(lambda: "Number of ports: 2" in bond(site), 60, "both are one for the switch, too")
    before = sent(site)
    # Each from another port: what comes back to the switch takes either way, as what goes does.
    ask = "dig +short -b 192.168.50.31#$port @192.168.50.1 www.example.test"
    answers = site.on("u1", f"for port in $(seq 40000 40063); do {ask}; done").split()
    assert ["192.0.2.80"] * 64 == answers
    grown = [after - was for after, was in zip(sent(site), before, strict=True)]
    assert min(grown) > 12, grown
    test_either_nic_may_be_cut_off(site, "host0")
    test_either_nic_may_be_cut_off(site, "host1")


def test_a_bond_that_would_be_lost_is_undone_with_its_mode(site: Site) -> None:
    """It has another address than the one that the node is reached by."""
    lost = SITE.replace("192.168.50", "192.0.2").replace("host: 192.0.2", "host: 192.168.50")
    done = declare(site, lost, "--data", "bridge_timeout=15")
    assert 0 != done.returncode
    assert "The new network was not confirmed within 15 s" in done.stderr, done.stderr
    assert "Bonding Mode: IEEE 802.3ad" in bond(site)
    assert {"192.168.50.31/24", "fd50::31/64"} == addresses(site, "bond0")
    assert not is_made(declare(site, LACP))


def test_its_addresses_move_to_a_vlan_and_back(site: Site) -> None:
    with both_ways():
        assert is_made(declare(site, TAGGED))
        assert "vlan protocol 802.1Q id 7" in site.on("u1", "ip -d link show bond0.7")
        assert {"192.168.50.31/24", "fd50::31/64"} == addresses(site, "bond0.7")
        assert set() == addresses(site, "bond0")
        assert "default via 192.168.50.1 dev bond0.7" in site.on("u1", "ip route")
        assert "Number of ports: 2" in bond(site)
        assert int(pings(site).split(" received")[0].split()[-1]) > 40
        assert not is_made(declare(site, TAGGED))
        assert is_made(declare(site, LACP))
    assert {"192.168.50.31/24", "fd50::31/64"} == addresses(site, "bond0")
    assert "bond0.7" not in site.on("u1", "ip -br link")


@contextmanager
def both_ways() -> Iterator[None]:
    """Reach the node by the VLAN for as long as it is there, and as before otherwise."""
    route, ended = "route {} 192.168.50.31/32 dev tagged", Event()
    on_switch(f"link add link {BRIDGE} name tagged type vlan id 7", "link set tagged up")
    ping = ["ip", "netns", "exec", PREFIX, "ping", "-q", "-c", "1", "-W", "1", "-I"]

    def follow() -> None:
        while not ended.wait(0.3):
            for device, verb in (("tagged", "replace"), (BRIDGE, "delete")):
                done = subprocess.run([*ping, device, "192.168.50.31"], capture_output=True)
                if done.returncode == 0:
                    with suppress(subprocess.CalledProcessError):  # there is none to delete
                        on_switch(route.format(verb))
                    break

    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(follow)
        try:
            yield
        finally:
            ended.set()
            following.result()
            on_switch("link delete tagged")


def aggregate() -> None:
    """Have the switch take both ports for one."""
    on_switch("link add lacp type bond mode 802.3ad miimon 100 xmit_hash_policy layer3+4")
    for port in PORTS.values():
        on_switch(
            f"link set {port} nomaster",
            f"link set {port} down",
            f"link set {port} master lacp",
            f"link set {port} up",
        )
    on_switch(f"link set lacp master {BRIDGE} up")


def sent(site: Site) -> list[int]:
    """Return the packets that each NIC has sent."""
    shown = site.on("u1", "cd /sys/class/net; cat host[01]/statistics/tx_packets")
    return [int(line) for line in shown.split()]
