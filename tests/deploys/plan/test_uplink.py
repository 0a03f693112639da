"""A bare node's own link: plain, bonded, on a VLAN, as networkd's files."""

import msgspec
import pytest

from groundplane.documents.machine import Bond, Uplink
from groundplane_deploys.plan.bridging.change import Made, digest
from groundplane_deploys.plan.bridging.errors import BridgeError
from groundplane_deploys.plan.bridging.found import Link, Managers
from groundplane_deploys.plan.uplink import files, plan

ADDRESSES = ("192.0.2.1", "2001:db8::1")
CIDRS = ("192.0.2.0/24", "2001:db8::/64")
PLAIN = Uplink(device="eth0", cidrs=CIDRS, gateways=("192.0.2.254",), nameservers=("192.0.2.253",))
BONDED = Uplink(
    device="bond0",
    cidrs=CIDRS,
    bond=Bond(members=("eth0", "eth1"), mode="802.3ad"),
    vlan=12,
    mtu=9000,
)
DIRECTORY = "/etc/systemd/network/05-groundplane-"


def link(name: str, **more: object) -> Link:
    fields = {"mac": "", "mtu": 1500, "kind": "", "master": "", "addresses": frozenset()}
    return Link(name, **(fields | more))  # type: ignore[arg-type]


LINKS = {"lo": link("lo"), "eth0": link("eth0"), "eth1": link("eth1")}
NETWORKD = Managers({}, True, False, {}, {})


def digests(uplink: Uplink) -> dict[str, str]:
    return {path: digest(text) for path, text in files(uplink, ADDRESSES).items()}


def test_a_nic_has_the_nodes_addresses() -> None:
    found = files(PLAIN, ADDRESSES)
    assert [f"{DIRECTORY}eth0.network"] == [*found]
    lines = found[f"{DIRECTORY}eth0.network"].splitlines()
    assert ["Address=192.0.2.1/24", "Address=2001:db8::1/64"] == [
        each for each in lines if each.startswith("Address=")
    ]
    assert {"Gateway=192.0.2.254", "DNS=192.0.2.253", "MTUBytes=1500"} <= {*lines}


def test_a_vlan_on_a_bond_has_them_and_nothing_below_has_any() -> None:
    found = files(BONDED, ADDRESSES)
    names = {path.removeprefix(DIRECTORY): text for path, text in found.items()}
    assert {
        "eth0.network",
        "eth1.network",
        "bond0.netdev",
        "bond0.network",
        "bond0.12.netdev",
        "bond0.12.network",
    } == names.keys()
    assert ["bond0.12.network"] == [name for name, text in names.items() if "Address=" in text]
    assert "Bond=bond0\n" in names["eth1.network"]
    assert "Mode=802.3ad\n" in names["bond0.netdev"]
    assert "VLAN=bond0.12\n" in names["bond0.network"]
    assert "Id=12\n" in names["bond0.12.netdev"]


def test_the_change_makes_what_is_not_there_and_keeps_nics() -> None:
    change = plan(BONDED, ADDRESSES, LINKS, NETWORKD, {})
    assert ("bond0", "bond0.12") == tuple(each.name for each in change.made)
    assert (Made("eth0", 9000), Made("eth1", 9000)) == change.kept
    assert (("eth0", "bond0"), ("eth1", "bond0")) == change.ports
    assert {"192.0.2.1/24", "2001:db8::1/64"} == {*change.made[-1].addresses}


def test_it_is_seen_once_the_kernel_has_it() -> None:
    change = plan(PLAIN, ADDRESSES, LINKS, NETWORKD, {})
    assert not change.is_seen(LINKS)
    whole = link("eth0", addresses=frozenset({"192.0.2.1/24", "2001:db8::1/64", "fe80::1/64"}))
    assert change.is_seen(LINKS | {"eth0": whole})


def test_what_an_uplink_was_before_goes() -> None:
    change = plan(PLAIN, ADDRESSES, LINKS, NETWORKD, digests(BONDED))
    assert {"bond0", "bond0.12"} == {*change.removed}
    assert change.files[f"{DIRECTORY}bond0.netdev"] is None
    assert change.files[f"{DIRECTORY}eth0.network"] is not None


def test_a_bond_of_another_mode_is_made_anew() -> None:
    """networkd sets the mode of a bond that it makes, and of no other."""
    before = msgspec.structs.replace(BONDED, bond=Bond(members=("eth0", "eth1")))
    there = digests(before)
    assert ("bond0",) == plan(BONDED, ADDRESSES, LINKS, NETWORKD, there).remade
    assert "bond0\n" == plan(BONDED, ADDRESSES, LINKS, NETWORKD, there).members()["remade"]
    assert () == plan(before, ADDRESSES, LINKS, NETWORKD, there).remade


def test_a_nic_that_is_not_there() -> None:
    with pytest.raises(BridgeError, match="there is no NIC eth9: there are eth0, eth1"):
        plan(Uplink(device="eth9", cidrs=CIDRS), ADDRESSES, LINKS, NETWORKD, {})


def test_who_configures_nics_otherwise_keeps_doing_so() -> None:
    ifupdown = Managers({}, True, False, {}, {"/etc/network/interfaces": "iface eth0 inet dhcp\n"})
    with pytest.raises(BridgeError, match="ifupdown configures the network here, and keeps it"):
        plan(PLAIN, ADDRESSES, LINKS, ifupdown, {})
