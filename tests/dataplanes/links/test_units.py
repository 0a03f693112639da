"""What networkd and a workload's resolver read."""

import pytest

from groundplane.dataplanes.links.units import network_units, overlay_unit, resolv_conf
from groundplane.project.state import NodeBase, Peer
from groundplane.site.compiled import Overlay
from tests.kernel.spaces import based
from tests.states import BASE, of_family


def test_the_bridge_has_the_same_address_at_every_boot() -> None:
    units = network_units(BASE)
    assert {"60-groundplane0.netdev", "60-groundplane0.network"} == units.keys()
    assert "MACAddress=02:00:00:00:00:01\n" in units["60-groundplane0.netdev"]


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (BASE, ["Address=10.244.1.1/24", "Address=fd00:244:0:1::1/64"]),
        (of_family("IPv4"), ["Address=10.244.1.1/24"]),
        (of_family("IPv6"), ["Address=fd00:244:0:1::1/64"]),
    ],
    ids=["both", "IPv4", "IPv6"],
)
def test_the_bridge_has_an_address_in_each_subnet(base: NodeBase, expected: list[str]) -> None:
    lines = network_units(base)["60-groundplane0.network"].splitlines()
    assert expected == [line for line in lines if line.startswith("Address=")]


@pytest.mark.parametrize(
    ("base", "server"), [(BASE, "10.244.1.1"), (of_family("IPv6"), "fd00:244:0:1::1")]
)
def test_a_workload_resolves_as_a_pod_does(base: NodeBase, server: str) -> None:
    """kubelet's ClusterFirst."""
    assert resolv_conf(base, "shop") == (
        f"nameserver {server}\n"
        "search shop.svc.cluster.local svc.cluster.local cluster.local\n"
        "options ndots:5\n"
    )


def test_a_bridge_whose_packets_go_in_tunnels_has_less_of_an_mtu() -> None:
    # Written in any case: networkd sets back nothing that its file does not name.
    assert "MTUBytes=1500\n" in network_units(BASE)["60-groundplane0.network"]
    units = network_units(based(overlay=Overlay("vxlan", 7071, 4790), mtu=1464))
    assert "MTUBytes=1464\n" in units["60-groundplane0.network"]
    assert "MTUBytes=1464\n" in units["60-groundplane1.network"]


def test_the_overlay_has_the_addresses_of_the_bridge() -> None:
    units = network_units(based(overlay=Overlay("vxlan", 7071, 4790), mtu=1464))
    assert {
        "60-groundplane0.netdev",
        "60-groundplane0.network",
        "60-groundplane1.network",
    } == units.keys()
    lines = units["60-groundplane1.network"].splitlines()
    assert ["Address=10.244.1.1/32", "Address=fd00:244:0:1::1/128"] == [
        line for line in lines if line.startswith("Address=")
    ]


def test_a_unit_makes_the_link_of_vxlan() -> None:
    """networkd of systemd 252 has no External= for it."""
    unit = overlay_unit(based(overlay=Overlay("vxlan", 7071, 4790), mtu=1464))
    made = "ip link add groundplane1 mtu 1464 type vxlan external gpe dstport 4790\n"
    assert f"ExecStart=/usr/sbin/{made}" in unit


def test_wireguard_knows_each_peer_by_its_key_and_what_is_behind_it() -> None:
    peers = (
        Peer("n2", ("192.0.2.2",), ("10.244.2.0/24", "fd00:2::/64"), "192.0.2.2", "two="),
        Peer("n3", ("2001:db8::3",), ("10.244.3.0/24",), "2001:db8::3", "three="),
    )
    base = based(overlay=Overlay("wireguard", 7071, 51871), mtu=1440, peers=peers)
    text = network_units(base)["60-groundplane1.netdev"]
    assert "PrivateKeyFile=/etc/groundplane/wireguard.key\nListenPort=51871\n" in text
    assert (
        "# n2\n[WireGuardPeer]\nPublicKey=two=\nEndpoint=192.0.2.2:51871\n"
        "AllowedIPs=10.244.2.0/24,fd00:2::/64\n"
    ) in text
    assert "Endpoint=[2001:db8::3]:51871\n" in text
