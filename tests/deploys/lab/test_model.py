"""A lab that cannot work is refused when it is written down."""

from pathlib import Path

import pytest

from groundplane_deploys.lab.command import LabError
from groundplane_deploys.lab.model import Lab, LabNode, derive_mac

N1 = LabNode("n1", ("192.168.50.11/24", "fd50::11/64"))


def test_a_node_knows_its_addresses_without_prefix_lengths() -> None:
    assert N1.hosts == ("192.168.50.11", "fd50::11")


@pytest.mark.parametrize(
    "name", ["", "N1", "1n", "n_1", "n1-", "../n1", "n1.", "n1..a", "resolver", "git", "n" * 33]
)
def test_a_name_that_is_no_host_name_or_is_taken_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="node name"):
        LabNode(name, ("192.168.50.11/24",))


def test_the_name_of_a_node_may_have_dots() -> None:
    assert LabNode("n1.rack-2.example", ("192.168.50.11/24",)).name == "n1.rack-2.example"


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        ((), "needs an address"),
        (("192.168.50.11",), "lacks its prefix length"),
        (("192.168.50.300/24",), "does not appear to be an IPv4 or IPv6"),
    ],
)
def test_a_bad_address_is_refused(addresses: tuple[str, ...], reason: str) -> None:
    with pytest.raises(LabError, match=reason):
        LabNode("n1", addresses)


def test_nothing_is_used_twice() -> None:
    with pytest.raises(LabError, match="name used twice: n1"):
        Lab(nodes=(N1, LabNode("n1", ("192.168.50.12/24",))))
    with pytest.raises(LabError, match=r"address used twice: 192\.168\.50\.1$"):
        Lab(nodes=(LabNode("n2", ("192.168.50.1/24",)),))


def test_a_node_out_of_the_gateways_reach_is_refused() -> None:
    with pytest.raises(LabError, match="node n9: no address in the networks of the gateway"):
        Lab(nodes=(LabNode("n9", ("10.9.0.9/24",)),))


def test_an_address_for_the_nodes_among_them_is_not_expected_to_be_reachable() -> None:
    node = LabNode("n1", ("10.9.0.9/24", "192.168.50.11/24"))

    assert Lab(nodes=(node,)).reachable_hosts(node) == ("192.168.50.11",)


@pytest.mark.parametrize("path", ["relative", "/with:colon", "/with,comma", "/with%percent"])
def test_a_directory_that_breaks_mount_options_is_refused(path: str) -> None:
    with pytest.raises(LabError, match="directory"):
        Lab(state=Path(path))


def test_hardware_addresses_are_stable_local_and_unlike() -> None:
    first = derive_mac("gp-lab", "n1")

    assert first == derive_mac("gp-lab", "n1")
    assert first != derive_mac("gp-lab", "n2")
    assert first.startswith("02:")
    assert len(first) == 17
