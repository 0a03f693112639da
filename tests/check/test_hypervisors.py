"""Hypervisors: how they are reached, and the networks that they have for VMs."""

from pathlib import Path

import pytest

from tests.catalogs import SITE
from tests.check.test_machines import told


def hypervisor(network: str = "", spec: str = "management: {host: h1.example}") -> str:
    return (
        "apiVersion: groundplane/v1\nkind: Hypervisor\nmetadata: {name: h1}\n"
        f"spec:\n  {spec}\n  networks: [{network}]\n"
    )


@pytest.mark.parametrize(
    "network",
    [
        "",
        "{name: br0, cidrs: [192.0.2.0/24]}",
        "{name: br0, cidrs: [192.0.2.0/24], uplink: eth0, vlan: 12, addresses: [192.0.2.9]}",
        "{name: n, cidrs: [198.51.100.0/24, 'fd01::/64'], mode: nat, mtu: 1400}",
    ],
)
def test_what_a_hypervisor_may_have(source: Path, network: str) -> None:
    assert [] == told(source, hypervisor(network))


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (
            "{name: a/b, cidrs: [192.0.2.0/24]}",
            ('.name: "a/b" is not a link name: at most 15 letters, digits, "-", "_" and "."'),
        ),
        ("{name: br0, cidrs: []}", ".cidrs: at least one range is needed"),
        (
            "{name: br0, cidrs: [192.0.2.0/24, 198.51.100.0/24]}",
            (".cidrs[1]: a second IPv4 range; one per family"),
        ),
        ("{name: br0, cidrs: [10.244.0.0/24]}", ".cidrs[0]: 10.244.0.0/24 overlaps 10.244.0.0/16"),
        (
            "{name: br0, cidrs: [192.0.2.0/24], vlan: 3}",
            (".vlan: it is of an uplink, and there is none"),
        ),
        (
            "{name: br0, cidrs: [192.0.2.0/24], addresses: [192.0.3.1]}",
            (".addresses[0]: 192.0.3.1 lies in none of the segment's ranges"),
        ),
        (
            "{name: n, cidrs: [192.0.2.0/24], mode: nat, uplink: eth0}",
            (".uplink: it is of a bridge, and this is a network with mode nat"),
        ),
        (
            "{name: n, cidrs: ['fd01::/64'], mtu: 1000}",
            ".mtu: 1000 is not an MTU here: 1280 to 65535",
        ),
    ],
)
def test_what_a_network_may_not_say(source: Path, network: str, expected: str) -> None:
    assert [f"Hypervisor/h1: spec.networks[0]{expected}"] == told(source, hypervisor(network))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("management: {}", "management.host: it is needed: how the deploy reaches this hypervisor"),
        ("management: {host: h, port: 0}", "management.port: 0 is not a port: 1 to 65535"),
        (
            "management: {host: h}\n  pool: vms",
            'pool: "vms" is not an absolute path of plain names',
        ),
        (
            "management: {host: h}\n  pool: /a/../b",
            'pool: "/a/../b" is not an absolute path of plain names',
        ),
    ],
)
def test_what_a_hypervisor_may_not_say(source: Path, spec: str, expected: str) -> None:
    assert [f"Hypervisor/h1: spec.{expected}"] == told(source, hypervisor(spec=spec))


def test_two_networks_have_two_names(source: Path) -> None:
    each = "{name: br0, cidrs: [192.0.2.0/24]}"
    expected = 'Hypervisor/h1: spec.networks[1].name: a second network "br0"'
    assert [expected] == told(source, hypervisor(f"{each}, {each}"), SITE)
