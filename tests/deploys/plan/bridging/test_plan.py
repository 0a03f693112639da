"""From networks, links and managers to files: what a host gets, text by text."""

import os
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from groundplane.documents.machine import Network
from groundplane_deploys.facts.bridging import LinkManagers, Links
from groundplane_deploys.plan.bridging.change import Change
from groundplane_deploys.plan.bridging.errors import BridgeError
from groundplane_deploys.plan.bridging.found import Link, Managers
from groundplane_deploys.plan.bridging.plan import manager_of, plan
from groundplane_deploys.plan.bridging.wanted import bridges_of, uplinks_of, vlan_link

NETWORKD = Managers({"eno1": "/etc/systemd/network/20-wired.network"}, True, False, {}, {})
LINKS = {
    name: Link(name, f"02:00:00:00:00:0{at}", 1500, "", "", frozenset())
    for at, name in enumerate(("lo", "eno1", "eno2"))
}
LAN = Network(
    name="br0",
    cidrs=("192.0.2.0/24", "2001:db8::/64"),
    uplink="eno1",
    addresses=("192.0.2.10", "2001:db8::10"),
    gateways=("192.0.2.1",),
    nameservers=("192.0.2.2",),
)
TAGGED = Network(name="br42", cidrs=("198.51.100.0/24",), uplink="eno1", vlan=42, mtu=9000)
INNER = Network(name="br1", cidrs=("203.0.113.0/24",), addresses=("203.0.113.1",))
NAT = Network(name="nat", cidrs=("10.9.0.0/24",), mode="nat")


def lines(text: str | None) -> list[str]:
    assert text is not None
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def files(*networks: Network, found: Managers = NETWORKD) -> dict[str, str | None]:
    change = plan(bridges_of(networks), LINKS, found, [])
    return {path.removeprefix("/etc/systemd/network/"): text for path, text in change.files.items()}


def test_a_bridge_takes_the_nics_hardware_address_and_its_network() -> None:
    found = files(LAN)
    assert lines(found["05-groundplane-br0.netdev"]) == [
        "[NetDev]", "Name=br0", "Kind=bridge", "MACAddress=02:00:00:00:00:01",
        "MTUBytes=1501", "[Bridge]", "STP=no", "ForwardDelaySec=0",
    ]  # fmt: skip
    network = lines(found["05-groundplane-br0.network"])
    assert "Address=192.0.2.10/24" in network
    assert "Address=2001:db8::10/64" in network
    assert "Gateway=192.0.2.1" in network
    assert "DNS=192.0.2.2" in network
    port = lines(found["05-groundplane-eno1.network"])
    assert port[:4] == ["[Match]", "Name=eno1", "[Link]", "MTUBytes=1500"]
    assert "Bridge=br0" in port


def test_a_vlan_has_a_link_below_its_bridge_and_the_nic_carries_its_packets() -> None:
    found = files(LAN, TAGGED)
    assert lines(found["05-groundplane-eno1.42.netdev"])[-1] == "Id=42"
    assert "Bridge=br42" in lines(found["05-groundplane-eno1.42.network"])
    nic = lines(found["05-groundplane-eno1.network"])
    assert {"VLAN=eno1.42", "Bridge=br0", "MTUBytes=9000"} <= set(nic)
    assert "MTUBytes=1500" in lines(found["05-groundplane-br0.network"])


@pytest.mark.parametrize("mtu", [1280, 1500, 9000, 65535])
def test_a_bridge_changes_its_mtu_once_so_that_it_does_not_follow_its_ports(mtu: int) -> None:
    """The kernel heeds only an MTU that somebody changed (br_change_mtu)."""
    found = files(Network(name="br0", cidrs=("192.0.2.0/24",), uplink="eno1", mtu=mtu))
    first, last = (
        int(next(line for line in lines(found[f"05-groundplane-br0.{kind}"]) if "MTU" in line)[9:])
        for kind in ("netdev", "network")
    )
    assert mtu == last != first
    assert 1280 <= first <= 65535


def test_a_nic_with_vlans_alone_stays_what_it_is() -> None:
    found = files(TAGGED)
    assert "05-groundplane-eno1.network" not in found
    assert "VLAN=eno1.42" in lines(found["20-wired.network.d/50-groundplane-vlans.conf"])


def test_a_bridge_without_an_uplink_needs_no_carrier() -> None:
    found = files(INNER)
    assert set(found) == {"05-groundplane-br1.netdev", "05-groundplane-br1.network"}
    assert "ConfigureWithoutCarrier=yes" in lines(found["05-groundplane-br1.network"])


def test_networks_of_libvirt_make_no_bridge_here() -> None:
    assert bridges_of((NAT,)) == ()
    assert files(NAT) == {}


def test_what_is_declared_no_more_goes_with_its_links() -> None:
    there = [
        "/etc/systemd/network/05-groundplane-old.netdev",
        "/etc/systemd/network/05-groundplane-old.network",
        "/etc/systemd/network/20-wired.network",
    ]
    change = plan(bridges_of((LAN,)), LINKS, NETWORKD, there)
    assert change.removed == ("old",)
    assert change.files[there[0]] is None
    assert change.files[there[1]] is None
    assert there[2] not in change.files


def test_a_file_that_networkd_would_take_instead_is_named() -> None:
    found = replace(NETWORKD, networkd={"eno1": "/etc/systemd/network/00-all.network"})
    with pytest.raises(BridgeError, match=r"/etc/systemd/network/00-all\.network comes before"):
        files(LAN, found=found)


def test_a_nic_that_is_not_there_is_named() -> None:
    with pytest.raises(BridgeError, match="there is no NIC eth7: there are eno1, eno2"):
        files(replace_uplink(LAN, "eth7"))


def replace_uplink(network: Network, uplink: str) -> Network:
    return Network(name=network.name, cidrs=network.cidrs, uplink=uplink)


def test_the_names_of_vlans_fit_the_kernel() -> None:
    assert vlan_link("eno1", 42) == "eno1.42"
    long = vlan_link("enp130s0f1np1", 4094)
    assert len(long) <= 15
    assert long != vlan_link("enp130s0f1np0", 4094)


def test_uplinks_are_one_for_all_bridges_above() -> None:
    (uplink,) = uplinks_of(bridges_of((LAN, TAGGED)))
    assert (uplink.bridge, uplink.vlans, uplink.mtu) == ("br0", (("eno1.42", 42),), 9000)


@pytest.mark.parametrize(
    ("found", "manager"),
    [
        (NETWORKD, "networkd"),
        (replace(NETWORKD, netplan={"/etc/netplan/50.yaml": ""}), "netplan"),
        (
            replace(NETWORKD, interfaces={"/etc/network/interfaces": "iface eno1 inet dhcp\n"}),
            "ifupdown",
        ),
        (
            replace(NETWORKD, interfaces={"/etc/network/interfaces": "iface lo inet loopback\n"}),
            "networkd",
        ),
    ],
)
def test_who_configures_the_nic(found: Managers, manager: str) -> None:
    assert manager_of(found, ["eno1"]) == manager


def test_network_manager_is_told_as_such() -> None:
    found = Managers({}, False, True, {}, {})
    with pytest.raises(BridgeError, match="NetworkManager configures the network here"):
        manager_of(found, ["eno1"])


def test_the_facts_of_a_host_are_read() -> None:
    answer = """\
link lo
link eno1 /etc/systemd/network/20-wired.network
runs systemd-networkd
runs cloud-init
file /etc/network/interfaces
|YXV0byBsbwppZmFjZSBsbyBpbmV0IGxvb3BiYWNrCg==
file /etc/netplan/50.yaml
|bmV0d29yazoNCiAgdmVyc2lvbjogMiAjIP8=
file /etc/netplan/60.yaml
|
file /etc/cloud/cloud.cfg
|bmV0d29yazoge30K
"""
    found = LinkManagers().process(answer.splitlines())
    assert found == Managers(
        networkd={"lo": "", "eno1": "/etc/systemd/network/20-wired.network"},
        networkd_runs=True,
        network_manager_runs=False,
        netplan={
            "/etc/netplan/50.yaml": "network:\r\n  version: 2 # \udcff",
            "/etc/netplan/60.yaml": "",
        },
        interfaces={"/etc/network/interfaces": "auto lo\niface lo inet loopback\n"},
        cloud_init_runs=True,
        cloud_config={"/etc/cloud/cloud.cfg": "network: {}\n"},
    )


def test_files_are_read_from_a_host_and_written_to_it_byte_for_byte(tmp_path: Path) -> None:
    contents = {
        "netplan/50.yaml": b"# \xe4\r\nnetwork: {}",
        "netplan/60.yaml": b"",
        "network/interfaces": b"\n  # \xff\n\n",
        "cloud/cloud.cfg.d/10-x.cfg": b"network: {}\n",
        "cloud/cloud.cfg.d/20-y.cfg": b"users: [secret]\n",
    }
    for name, content in contents.items():
        (tmp_path / "etc" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "etc" / name).write_bytes(content)
    for program in ("netplan", "ifup", "cloud-init"):
        (tmp_path / program).touch(mode=0o755)
    done = subprocess.run(
        ["sh", "-c", LinkManagers().command().replace("/etc/", f"{tmp_path}/etc/")],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        check=True,
    )
    output = done.stdout.decode().replace(f"{tmp_path}/etc/", "/etc/").splitlines()
    found = LinkManagers().process(output)
    read = {**found.netplan, **found.interfaces, **found.cloud_config}
    del contents["cloud/cloud.cfg.d/20-y.cfg"]
    assert {f"/etc/{name}" for name in contents} == read.keys()
    assert found.cloud_init_runs
    with tarfile.open(fileobj=Change("netplan", read, ()).archive()) as archive:
        for name, content in contents.items():
            member = archive.extractfile(f"new/etc/{name}")
            assert member
            assert content == member.read()


def test_links_are_read_with_their_kind_and_master() -> None:
    shown = (
        '[{"ifname":"eno1","address":"02:00:00:00:00:01","mtu":1500,"master":"br0","addr_info":[]},'
        '{"ifname":"br0","address":"02:00:00:00:00:01","mtu":1500,"linkinfo":{"info_kind":"bridge"},'
        '"addr_info":[{"local":"192.0.2.10","prefixlen":24,"scope":"global"},'
        '{"local":"fe80::1","prefixlen":64,"scope":"link"}]},{}]'
    )
    links = Links().process([shown])
    assert links["eno1"].master == "br0"
    assert links["br0"].kind == "bridge"
    assert links["br0"].addresses == {"192.0.2.10/24"}


def test_the_change_on_the_way_to_the_host_is_lists_and_texts() -> None:
    members = plan(bridges_of((LAN, TAGGED)), LINKS, NETWORKD, []).members()
    assert members["links"] == "eno1.42\nbr0\nbr42\n"
    assert members["ports"] == "eno1 br0\neno1.42 br42\n"
    assert members["addresses"] == "br0 192.0.2.10/24\nbr0 2001:db8::10/64\n"
    assert members["files"].splitlines() == sorted(members["files"].splitlines())
    assert all(f"new{path}" in members for path in members["files"].splitlines())
