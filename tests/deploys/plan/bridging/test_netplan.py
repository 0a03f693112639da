"""netplan: our file, and what is left of those that define a NIC."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from groundplane_deploys.plan.bridging.errors import BridgeError
from groundplane_deploys.plan.bridging.netplan import PATH, defining, files, links_of
from groundplane_deploys.plan.bridging.wanted import Bridge

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
WRITTEN_BY_HAND = """\
# The house's network; ask before you change it.
network:
    version:   2
    ethernets:
        eno2: {macaddress: 001122334455, dhcp4: yes}   # the printer's
        eno1:
            # from the provider
            macaddress: 52:54:00:12:34:56
            addresses:   # GOES
            - 192.0.2.10/24   # GOES
            - "192.0.2.11/24"   # GOES
            # - 192.0.2.12/24

            mtu:    0x5dc
            routes: [   # GOES
                {to: default, via: 192.0.2.1}]   # GOES
            nameservers:   # GOES
                addresses:   # GOES
                    - 192.0.2.2   # GOES
            "wakeonlan": 'off'
            gateway4: 192.0.2.1   # GOES
    vlans:
        # an octal number for YAML 1.1
        office: {id: 010, link: eno2, addresses: [198.51.100.1/24]}
    wifis:
        wl0: {access-points: {"Haus": {password: 00123456}}, dhcp4: on}
"""
THERE = {"/etc/netplan/50-installed.yaml": INSTALLED}
LAN = Bridge("br0", 1500, True, "eno1", None, ("192.0.2.10/24",), ("192.0.2.1",), ("192.0.2.2",))
TAGGED = Bridge("br42", 9000, False, "eno1", 42)
MACS = {"eno1": "02:00:00:00:00:01"}


def test_the_bridge_takes_over_and_the_nic_keeps_what_is_of_its_hardware() -> None:
    found = files((LAN, TAGGED), MACS, THERE)
    ethernets = yaml.safe_load(found["/etc/netplan/50-installed.yaml"])["network"]["ethernets"]
    assert ethernets["nic"] == {
        "match": {"macaddress": "02:00:00:00:00:01"}, "set-name": "eno1", "wakeonlan": True,
        "dhcp4": True,
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


def test_all_else_in_the_file_stays_as_it_was_written() -> None:
    there = {"/etc/netplan/50-installed.yaml": WRITTEN_BY_HAND}
    left = files((LAN,), MACS, there)["/etc/netplan/50-installed.yaml"]
    assert left == "".join(
        line for line in WRITTEN_BY_HAND.splitlines(keepends=True) if "GOES" not in line
    )


@pytest.mark.parametrize("word", ["52:54:00:12:34:56", "001122334455", "0x10", "1e3", "010"])
def test_what_yaml_takes_for_a_number_is_text(word: str) -> None:
    """YAML 1.1 makes 11,396,120,096 of the first one."""
    text = (
        f"network: {{ethernets: {{{word}: {{match: {{macaddress: {word}}}, addresses: [a]}}}}}}\n"
    )
    found = files((LAN,), {"eno1": word}, {"/etc/netplan/a.yaml": text})
    assert found["/etc/netplan/a.yaml"] == text.replace(", addresses: [a]", "")
    ours = yaml.load(found[PATH], yaml.BaseLoader)["network"]  # noqa: S506 - scalars stay text
    assert [word] == [*ours["ethernets"]] == ours["bridges"]["br0"]["interfaces"]
    assert word == ours["bridges"]["br0"]["macaddress"]


def test_dhcp_is_turned_off_by_the_later_file_alone() -> None:
    text = "network: {ethernets: {eno1: {dhcp4: true}}}\n"
    assert {PATH} == files((LAN,), MACS, {"/etc/netplan/50-cloud-init.yaml": text}).keys()
    late = "/etc/netplan/99-late.yaml"
    assert "network: {ethernets: {eno1: {}}}\n" == files((LAN,), MACS, {late: text})[late]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "\n\n", "---\n", "{}\n", "network: {}\n"])
def test_a_file_that_says_nothing_stays(text: str) -> None:
    assert {PATH} == files((LAN,), MACS, {"/etc/netplan/a.yaml": text}).keys()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("network:\n", "a.yaml:1: network has to be a mapping"),
        ("# x\n- network\n", "a.yaml:2: the file has to be a mapping"),
        ("network:\n  ethernets:\n", "a.yaml:2: ethernets has to be a mapping"),
        ("network:\n  ethernets:\n    eno2:\n", "a.yaml:3: eno2 has to be a mapping"),
        ("network:\n\tversion: 2\n", "a.yaml:2: .*cannot start any token"),
        ("network: {\n", "a.yaml:2: while parsing a flow node"),
        ("network: {}\n---\nnetwork: {}\n", "a.yaml:2: expected a single document"),
        ("network: {}\n# \udcff\n", "a.yaml:2: a character is not UTF-8"),
        ("network: *x\n", "a.yaml:1: found undefined alias"),
    ],
)
def test_a_file_that_netplan_would_not_read_as_meant_is_named_with_its_line(
    text: str, said: str
) -> None:
    with pytest.raises(BridgeError, match=f"^/etc/netplan/{said}"):
        files((LAN,), MACS, {"/etc/netplan/a.yaml": text})


def test_a_file_of_ours_that_was_broken_since_is_named() -> None:
    for text, said in (("network:\n", "network"), ("network: {bridges: }\n", "bridges")):
        with pytest.raises(BridgeError, match=f"^{PATH}:1: {said} has to be a mapping"):
            links_of(text)


def test_the_files_that_define_a_port_are_told() -> None:
    there = {**THERE, "/etc/netplan/60.yaml": "network: {ethernets: {eno2: {}}}\n"}
    assert {"/etc/netplan/50-installed.yaml"} == defining((LAN,), MACS, there)
    assert set() == defining((TAGGED,), MACS, there)


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
    macs = {"bond0": "02:00:00:00:00:01"}
    made = generate(tmp_path, there | files((lan, tagged), macs, there))
    assert "Mode=802.3ad" in (made / "10-netplan-bond0.netdev").read_text()
    assert "Bond=bond0" in (made / "10-netplan-eno2.network").read_text()
    bond = (made / "10-netplan-bond0.network").read_text().splitlines()
    assert {"Bridge=br0", "VLAN=bond0.42"} <= {*bond}
    assert not [line for line in bond if line.startswith("Address=")]
    assert "Bridge=br42" in (made / "10-netplan-bond0.42.network").read_text()


@pytest.mark.parametrize("name", ["50-cloud-init.yaml", "99-late.yaml"])
def test_netplan_itself_gives_a_port_no_network(tmp_path: Path, name: str) -> None:
    mac = "52:54:00:12:34:56"
    there = {f"/etc/netplan/{name}": CLOUD.replace("MAC", mac)}
    made = generate(tmp_path, there | files((LAN,), {"eno1": mac}, there))
    port = (made / "10-netplan-eno1.network").read_text().splitlines()
    assert {"PermanentMACAddress=52:54:00:12:34:56", "MTUBytes=1500", "Bridge=br0"} <= {*port}
    assert {"LinkLocalAddressing=no", "IPv6AcceptRA=no"} <= {*port}
    assert not [line for line in port if line.startswith(("Address=", "DHCP=", "Gateway=", "DNS="))]


CLOUD = """\
network:
    ethernets:
        eno1:
            accept-ra: true
            addresses:
            - 192.0.2.10/24
            dhcp4: true
            dhcp4-overrides: {use-dns: false}
            dhcp6: true
            gateway4: 192.0.2.1
            link-local: [ipv4, ipv6]
            match:
                macaddress: MAC
            mtu: 1400
            nameservers:
                addresses: [192.0.2.2]
            set-name: eno1
    version: 2
"""


def generate(root: Path, texts: dict[str, str]) -> Path:
    """Return the directory with what netplan makes of its files for networkd."""
    (root / "etc/netplan").mkdir(parents=True)
    for path, text in texts.items():
        (root / path[1:]).touch(mode=0o600)
        (root / path[1:]).write_text(text)
    done = subprocess.run(
        ["netplan", "generate", "--root-dir", str(root)], text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return root / "run/systemd/network"
