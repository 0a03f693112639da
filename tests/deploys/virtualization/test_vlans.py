"""A VLAN below a bridge, with its MTU, on Debian's own kernel: a VM of an image that was built."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplane.documents.machine import ImageBuild
from groundplane_deploys.catalog import ROOT
from groundplane_deploys.images.build import ensure_built
from groundplane_deploys.images.cache import cache_directory
from tests.deploys.images.booted import PORT, PREFIX, USER, Machine, booted
from tests.deploys.virtualization.hosts import HYPERVISOR, bridge, write_site

pytestmark = [pytest.mark.vms, pytest.mark.slow]

NETWORKS = bridge(
    "br0", "ens3", "10.0.2.0/24", "10.0.2.77", "gateways: [10.0.2.2]", "nameservers: [10.0.2.3]"
) + bridge("br42", "ens3", "192.0.2.0/24", "192.0.2.1", "vlan: 42", "mtu: 9000")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    image = ensure_built(ImageBuild(), cache_directory())
    with booted(image, tmp_path_factory.mktemp("machine"), "4G") as machine:
        yield machine


def deploy(machine: Machine, directory: Path) -> str:
    document = HYPERVISOR.format(name="vm", host="127.0.0.1") + NETWORKS
    source = write_site(directory / "site", document)
    data = {
        "ssh_hostname": "127.0.0.1",
        "ssh_port": PORT,
        "ssh_user": USER,
        "_sudo": True,
        "ssh_key": str(machine.directory / "client"),
        "ssh_known_hosts_file": str(machine.directory / "known_hosts"),
        "ssh_strict_host_key_checking": "yes",
        "hypervisor_name": "vm",
        "bridge_timeout": 90,
    }
    inventory = directory / "inventory.py"
    inventory.write_text(f"hosts = {[('vm', data)]!r}\n")
    done = subprocess.run(
        ["nsenter", f"--net=/run/netns/{PREFIX}", str(Path(sys.executable).with_name("pyinfra")),
         "-y", str(inventory), "groundplane_deploys.virtualization.bridges"],
        cwd=ROOT,
        env=os.environ | {"GROUNDPLANE_SOURCE": str(source)},
        text=True,
        capture_output=True,
        timeout=300,
    )  # fmt: skip
    text = done.stdout + done.stderr
    assert done.returncode == 0, text + machine.on("cat /var/lib/groundplane-bridge/*/log || true")
    return text


def test_a_bridge_on_a_vlan_of_the_nic_that_ssh_comes_by(machine: Machine, tmp_path: Path) -> None:
    deploy(machine, tmp_path)
    vlan = machine.on("ip -d link show ens3.42")
    assert "vlan protocol 802.1Q id 42" in vlan
    assert "master br42" in vlan
    assert "mtu 9000" in vlan
    assert "mtu 9000" in machine.on("ip -d link show br42")
    assert "mtu 1500" in machine.on("ip -d link show br0")
    assert "mtu 9000 qdisc" in machine.on("ip -d link show ens3")
    assert "master br0" in machine.on("ip -d link show ens3")
    assert "10.0.2.77/24" in machine.on("ip -brief addr show br0")
    assert "192.0.2.1/24" in machine.on("ip -brief addr show br42")
    assert "10.0.2.3" in machine.on("resolvectl dns br0")
    assert re.search(r"Grand total +\d+ +- +- +\d+", deploy(machine, tmp_path))
