"""What networkd and a workload's resolver read."""

import pytest

from groundplane.dataplanes.links.units import network_units, resolv_conf
from groundplane.project.state import NodeBase
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
