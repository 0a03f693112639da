"""A site whose nodes are VMs: from nothing to answers, a VM that dies, and encryption.

The kernel is Debian's own, systemd the first process, libvirt a real one on a hypervisor of the lab.
"""

import shlex
import subprocess
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from groundplane_deploys.catalog import ROOT
from groundplane_deploys.lab import stop, up
from tests.sites import Site, site_of
from tests.waiting import until

pytestmark = pytest.mark.vms

PREFIX = "gp-vmsite"
EXAMPLE = ROOT / "examples" / "vms"
FORGE = """
import socket
name = next(name for _, name in socket.if_nameindex() if name.startswith(("en", "eth")))
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
    link.bind((name, 0))
    link.send(bytes.fromhex("ff" * 6 + "{address}" + "88b5") + bytes(46))
"""


def holds(condition: Callable[[], bool]) -> bool:
    """Return whether *condition* holds: not while a machine that it asks is unreachable."""
    try:
        return condition()
    except (AssertionError, subprocess.TimeoutExpired):
        return False


def eventually(condition: Callable[[], bool], seconds: float, what: str) -> None:
    until(partial(holds, condition), seconds, what, every=1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    source = tmp_path_factory.mktemp("vms")
    for file in (*EXAMPLE.glob("*.yaml"), EXAMPLE / "addresses.lock"):
        (source / file.name).write_text(file.read_text())
    with site_of(source, PREFIX) as made:
        made.deploy("hypervisors", "deploys/site.py")
        made.deploy("nodes", "deploys/site.py", "examples/lab/workloads.py")
        yield made


def test_the_site_is_as_declared(site: Site) -> None:
    assert " failed" not in site.run("pytest", "-q", "-p", "no:cacheprovider", "tests/verify")


def test_sshd_of_a_vm_stays_up_once_it_answers(site: Site) -> None:
    """The hypervisors' deploy ends when it answers, and the nodes' deploy begins."""
    for node in ("v1", "v2"):
        journal = site.on(node, "journalctl -u ssh -o cat | grep -c '^Started'")
        assert "1" == journal.strip(), node


def test_a_second_deploy_changes_nothing(site: Site) -> None:
    assert [] == site.deploy("hypervisors", "deploys/site.py")
    assert [] == site.deploy("nodes", "deploys/site.py", "examples/lab/workloads.py")


def test_a_vm_with_a_filter_sends_with_its_own_hardware_address_alone(site: Site) -> None:
    """The bridge learns where a hardware address is from one frame: v2's port has a filter."""
    for sender, address in (("v2", "020000000002"), ("v1", "020000000001")):
        site.on(sender, f"python3 -c {shlex.quote(FORGE.format(address=address))}")

    def learnt() -> str:
        return site.on("h1", "bridge fdb show br br0 dynamic")

    until(
        lambda: "02:00:00:00:00:01" in learnt(), 20, "a frame that no filter drops is learnt from"
    )
    assert "02:00:00:00:00:02" not in learnt()


def test_a_vm_that_dies_is_missed_by_nobody(site: Site) -> None:
    assert {"web-1", "web-2"} == site.answers("v1", 20)
    site.on("h1", "virsh destroy v2")
    eventually(lambda: {"web-1"} == site.answers("v1"), 60, "the dead one gets no connection")
    site.on("h1", "virsh start v2")
    eventually(lambda: {"web-1", "web-2"} == site.answers("v1", 20), 300, "it is back")
    eventually(lambda: {"web-1", "web-2"} == site.answers("v2", 20), 60, "and serves itself")


def test_vms_that_are_saved_go_on_where_they_were(site: Site) -> None:
    """It makes the second run of the lab a fast one."""
    began = site.on("v1", "cat /proc/sys/kernel/random/boot_id")
    stop(site.lab)
    up(site.lab)
    eventually(
        lambda: began == site.on("v1", "cat /proc/sys/kernel/random/boot_id"), 120, "v1 goes on"
    )
    eventually(lambda: {"web-1", "web-2"} == site.answers("v2", 20), 60, "both answer")


def test_wireguard_between_them(site: Site) -> None:
    keys = "groundplane_deploys.machine.keys.wireguard_keys"
    site.run("pyinfra", "-y", "inventories/lab.py", "--limit", "nodes", keys)
    machines = site.source / "machines.yaml"
    text = machines.read_text()
    for node in ("v1", "v2"):
        public = site.on(node, "wg pubkey < /etc/groundplane/wireguard.key").strip()
        assert public not in text
        name = f"  name: {node}\nspec:\n"
        text = text.replace(name, f"{name}  wireguard: {{publicKey: {public}}}\n")
    machines.write_text(text)
    cluster = site.source / "cluster.yaml"
    cluster.write_text(cluster.read_text() + "  overlay: {mode: wireguard}\n")
    site.deploy("nodes", "groundplane_deploys.machine.links.links")
    site.deploy("nodes", "groundplane_deploys.machine.agent.agent")
    eventually(lambda: {"web-1", "web-2"} == site.answers("v1", 20), 120, "both answer")
    peers = site.on("v1", "wg show groundplane1 transfer").split()
    assert int(peers[1]) > 0 < int(peers[2])
    assert "1440" in site.on("v1", "cat /sys/class/net/groundplane0/mtu")
    assert "groundplane1" in site.on("v1", "ip route show proto 71")
