"""Networks of libvirt's own: what is declared is read back, and reservations are a set beside it."""

from dataclasses import replace

import pytest

from groundplane.documents.machine import Network
from groundplane_deploys.plan.libvirt.networks import (
    Reservation,
    gateways,
    network_xml,
    other_differences,
    read_network,
    reservations,
)
from tests.deploys.plan.libvirt.machines import BRIDGE, NAT, ON_BRIDGE, V1

LEASED = replace(V1, addressing="dhcp")
ROUTED = Network(name="vms", cidrs=NAT.cidrs, mode="route")
LARGE = Network(name="vms", cidrs=NAT.cidrs, mode="nat", mtu=9000)


def test_reservations_are_of_ipv4_for_the_vms_that_ask() -> None:
    assert reservations([LEASED, replace(V1, name="v3"), ON_BRIDGE], NAT) == {
        Reservation(LEASED.mac, "v1", "10.77.0.11")
    }
    assert reservations([V1, ON_BRIDGE], BRIDGE) == frozenset()


def test_the_hypervisor_has_the_first_address_of_each_range() -> None:
    assert gateways(NAT) == ("10.77.0.1", "fd77::1")


def test_what_is_asked_for_is_read_back() -> None:
    reserved = reservations([LEASED], NAT)
    found = read_network(network_xml("lab", NAT, reserved))
    assert (found.site, found.mode, found.bridge, found.mtu) == ("lab", "nat", "vms", 1500)
    assert found.addresses == ("10.77.0.1/24", "fd77::1/64")
    assert found.reservations == reserved


def test_reservations_are_no_other_difference() -> None:
    with_one = read_network(network_xml("lab", NAT, reservations([LEASED], NAT)))
    without = read_network(network_xml("lab", NAT, ()))
    assert with_one != without
    assert other_differences(with_one, without) == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [(ROUTED, ("mode nat -> route",)), (LARGE, ("mtu 1500 -> 9000",))],
)
def test_a_change_is_said(changed: Network, said: tuple[str, ...]) -> None:
    before = read_network(network_xml("lab", NAT, ()))
    assert said == other_differences(read_network(network_xml("lab", changed, ())), before)


def test_a_network_of_somebody_else_has_no_site() -> None:
    found = read_network("<network><name>vms</name><bridge name='virbr0'/></network>")
    assert (found.site, found.mode, found.bridge, found.mtu) == ("", "", "virbr0", 0)
