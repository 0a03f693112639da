"""ifupdown: our stanzas, and what is left of those that a NIC had."""

from dataclasses import replace

from groundplane_deploys.plan.bridging.ifupdown import (
    PATH,
    bond_of,
    defining,
    files,
    links_of,
    without,
)
from groundplane_deploys.plan.bridging.wanted import Bridge

INTERFACES = """\
source /etc/network/interfaces.d/*

auto lo eno1
iface lo inet loopback

# the network
allow-hotplug eno1
iface eno1 inet static
    address 192.0.2.10/24
    gateway 192.0.2.1
iface eno1 inet6 auto

iface eno2 inet dhcp
"""

LAN = Bridge("br0", 1500, True, "eno1", None, ("192.0.2.10/24", "2001:db8::10/64"),
             ("192.0.2.1", "2001:db8::1"), ("192.0.2.2",))  # fmt: skip
TAGGED = Bridge("br42", 9000, False, "eno1", 42)
MACS = {"eno1": "02:00:00:00:00:01"}


def test_a_nic_is_taken_out_and_all_else_stays() -> None:
    assert without(INTERFACES, {"eno1"}) == (
        "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n\n# the network\n"
        "iface eno2 inet dhcp\n"
    )
    assert without(INTERFACES, {"eno7"}) == INTERFACES


def test_the_bridge_takes_over_addresses_routes_and_the_nics_hardware_address() -> None:
    found = files((LAN, TAGGED), MACS, {"/etc/network/interfaces": INTERFACES})
    assert "eno1" not in found["/etc/network/interfaces"]
    assert (
        found[PATH]
        == """\
# Written by groundplane; changes are overwritten.

iface eno1 inet manual

auto br0
iface br0 inet manual
    pre-up test -e /sys/class/net/$IFACE || ip link add name $IFACE type bridge stp_state 0 forward_delay 0
    pre-up ip link set dev $IFACE address 02:00:00:00:00:01
    pre-up ip link set dev eno1 mtu 9000 master $IFACE up
    up ip link set dev $IFACE mtu 1500 up
    up ip address replace 192.0.2.10/24 dev $IFACE
    up ip address replace 2001:db8::10/64 dev $IFACE
    up ip route replace default via 192.0.2.1 dev $IFACE
    up ip -6 route replace default via 2001:db8::1 dev $IFACE
    dns-nameservers 192.0.2.2
    post-down ip link delete dev $IFACE

auto eno1.42
iface eno1.42 inet manual
    pre-up ip link set dev eno1 mtu 9000 up
    pre-up test -e /sys/class/net/$IFACE || ip link add link eno1 name $IFACE type vlan id 42
    up ip link set dev $IFACE mtu 9000 up
    post-down ip link delete dev $IFACE

auto br42
iface br42 inet manual
    pre-up test -e /sys/class/net/$IFACE || ip link add name $IFACE type bridge stp_state 0 forward_delay 0
    pre-up ip link set dev $IFACE address 02:00:00:00:00:01
    pre-up ip link set dev eno1.42 master $IFACE
    up ip link set dev $IFACE mtu 9000 up
    post-down ip link delete dev $IFACE
"""
    )
    assert links_of(found[PATH]) == {"br0", "br42", "eno1.42"}


def test_the_files_with_stanzas_of_a_port_are_told() -> None:
    there = {"/etc/network/interfaces": INTERFACES, "/etc/network/interfaces.d/x": "auto eno2\n"}
    assert {"/etc/network/interfaces"} == defining((LAN,), there)
    assert set() == defining((TAGGED,), there)


def test_a_nic_with_vlans_alone_keeps_its_stanzas() -> None:
    found = files((TAGGED,), MACS, {"/etc/network/interfaces": INTERFACES})
    assert set(found) == {PATH}


def test_a_second_plan_is_the_same() -> None:
    there = {"/etc/network/interfaces": INTERFACES}
    first = files((LAN,), MACS, there)
    assert files((LAN,), MACS, there | first) == {PATH: first[PATH]}


BONDED = """\
auto bond0
iface bond0 inet static
    address 192.0.2.10/24
    bond-slaves eno1 eno2
    bond_mode 802.3ad
iface bond0 inet6 static
    address 2001:db8::10/64
    bond-slaves eno1 eno2

iface eno1 inet manual
"""


def test_a_bond_is_made_before_the_bridge_that_takes_its_addresses() -> None:
    there = {"/etc/network/interfaces": BONDED}
    lan = replace(LAN, uplink="bond0")
    first = files((lan,), {"bond0": "02:00:00:00:00:01"}, there)
    assert first["/etc/network/interfaces"] == "iface eno1 inet manual\n"
    stanza = (
        "auto bond0\niface bond0 inet manual\n    bond-slaves eno1 eno2\n    bond_mode 802.3ad\n"
    )
    assert stanza in first[PATH]
    assert first[PATH].index(stanza) < first[PATH].index("auto br0")
    assert {"br0"} == links_of(first[PATH]), "a bond is not ours to delete"
    again = files((lan,), {"bond0": "02:00:00:00:00:01"}, there | first)
    assert {PATH: first[PATH]} == again
    assert () == bond_of([INTERFACES], "eno1")
