"""netplan: our file, and what is left of those that define a NIC."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from deploys.bridging.errors import BridgeError
from deploys.bridging.netplan import PATH, files, links_of
from deploys.bridging.wanted import Bridge

INSTALLED = """\
network:
  version: 2
  renderer: networkd
  ethernets:
    nic:
      match: {macaddress: "02:00:00:00:00:01"}
      set-name: eno1
      wakeonlan: true
      dhcp4: true
      addresses: [192.0.2.10/24]
      routes: [{to: default, via: 192.0.2.1}]
    eno2: {dhcp4: true}
"""
THERE = {"/etc/netplan/50-installed.yaml": INSTALLED}
LAN = Bridge("br0", 1500, True, "eno1", None, ("192.0.2.10/24",), ("192.0.2.1",), ("192.0.2.2",))
TAGGED = Bridge("br42", 9000, False, "eno1", 42)
MACS = {"eno1": "02:00:00:00:00:01"}


def test_the_bridge_takes_over_and_the_nic_keeps_what_is_of_its_hardware() -> None:
    found = files((LAN, TAGGED), MACS, THERE)
    ethernets = yaml.safe_load(found["/etc/netplan/50-installed.yaml"])["network"]["ethernets"]
    assert ethernets["nic"] == {
        "match": {"macaddress": "02:00:00:00:00:01"}, "set-name": "eno1", "wakeonlan": True
    }  # fmt: skip
    assert ethernets["eno2"] == {"dhcp4": True}
    network = yaml.safe_load(found[PATH])["network"]
    assert network["ethernets"]["nic"]["mtu"] == 9000
    assert network["ethernets"]["nic"]["dhcp4"] is False
    assert network["vlans"]["eno1.42"]["link"] == "nic"
    bridge = network["bridges"]["br0"]
    assert bridge["interfaces"] == ["nic"]
    assert bridge["addresses"] == ["192.0.2.10/24"]
    assert bridge["macaddress"] == "02:00:00:00:00:01"
    assert bridge["routes"] == [{"to": "0.0.0.0/0", "via": "192.0.2.1"}]
    assert network["bridges"]["br42"]["interfaces"] == ["eno1.42"]
    assert links_of(found[PATH]) == {"br0", "br42", "eno1.42"}


def test_a_nic_with_vlans_alone_keeps_its_network() -> None:
    found = files((TAGGED,), MACS, THERE)
    assert set(found) == {PATH}
    assert yaml.safe_load(found[PATH])["network"]["ethernets"] == {"nic": {"mtu": 9000}}


def test_a_second_plan_is_the_same() -> None:
    first = files((LAN, TAGGED), MACS, THERE)
    assert files((LAN, TAGGED), MACS, THERE | first) == {PATH: first[PATH]}


def test_a_definition_of_several_nics_is_in_the_way() -> None:
    text = "network: {ethernets: {all: {match: {name: 'e*'}, dhcp4: true}}}\n"
    with pytest.raises(BridgeError, match="all matches e\\*, which may be more than eno1"):
        files((LAN,), MACS, {"/etc/netplan/a.yaml": text})


BONDED = """\
network:
  version: 2
  ethernets:
    one: {match: {macaddress: "02:00:00:00:00:01"}, set-name: eno1}
    eno2: {}
  bonds:
    bond0:
      interfaces: [one, eno2]
      parameters: {mode: 802.3ad}
      addresses: [192.0.2.10/24]
"""


def test_a_bond_stays_one_and_gives_the_bridge_its_addresses() -> None:
    """It may have the hardware address of a member."""
    there = {"/etc/netplan/50-installed.yaml": BONDED}
    lan, tagged = (replace(each, uplink="bond0") for each in (LAN, TAGGED))
    macs = {"bond0": "02:00:00:00:00:01"}
    first = files((lan, tagged), macs, there)
    installed = yaml.safe_load(first["/etc/netplan/50-installed.yaml"])["network"]
    assert {"interfaces": ["one", "eno2"], "parameters": {"mode": "802.3ad"}} == installed["bonds"][
        "bond0"
    ]
    network = yaml.safe_load(first[PATH])["network"]
    assert {"bond0"} == network["bonds"].keys()
    assert "ethernets" not in network
    assert ["bond0"] == network["bridges"]["br0"]["interfaces"]
    assert "bond0" == network["vlans"]["bond0.42"]["link"]
    assert {PATH: first[PATH]} == files((lan, tagged), macs, there | first)


def test_netplan_itself_takes_it_for_a_bond_with_a_bridge_and_a_vlan(tmp_path: Path) -> None:
    there = {"/etc/netplan/50-installed.yaml": BONDED}
    lan, tagged = (replace(each, uplink="bond0") for each in (LAN, TAGGED))
    (tmp_path / "etc/netplan").mkdir(parents=True)
    macs = {"bond0": "02:00:00:00:00:01"}
    for path, text in (there | files((lan, tagged), macs, there)).items():
        (tmp_path / path[1:]).touch(mode=0o600)
        (tmp_path / path[1:]).write_text(text)
    done = subprocess.run(
        ["netplan", "generate", "--root-dir", str(tmp_path)], text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    made = tmp_path / "run/systemd/network"
    assert "Mode=802.3ad" in (made / "10-netplan-bond0.netdev").read_text()
    assert "Bond=bond0" in (made / "10-netplan-eno2.network").read_text()
    bond = (made / "10-netplan-bond0.network").read_text().splitlines()
    assert {"Bridge=br0", "VLAN=bond0.42"} <= {*bond}
    assert not [line for line in bond if line.startswith("Address=")]
    assert "Bridge=br42" in (made / "10-netplan-bond0.42.network").read_text()
