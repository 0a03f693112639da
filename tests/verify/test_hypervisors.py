"""Every hypervisor is as declared: libvirt, bridges, and the VMs that are nodes of the site."""

import json
from typing import Any

import pytest

from groundplane.documents.machine import Hypervisor, Network
from groundplane.documents.site import Node
from groundplane_deploys.catalog import read_source
from groundplane_deploys.plan.libvirt.identity import mac_of


@pytest.fixture
def document(hypervisor: str) -> Hypervisor:
    return read_source().hypervisors[hypervisor]


@pytest.fixture
def carrier(hypervisor: str, hosts: dict[str, Any]) -> Any:
    """Return the testinfra host of the hypervisor under test."""
    return hosts[hypervisor]


def _carried(hypervisor: str) -> list[Node]:
    nodes = read_source().nodes.values()
    return [node for node in nodes if node.spec.vm and node.spec.vm.hypervisor == hypervisor]


def test_libvirt_runs_and_starts_at_boot(carrier: Any) -> None:
    service = carrier.service("libvirtd")
    assert service.is_running
    assert service.is_enabled


def test_bridges_are_as_declared(carrier: Any, document: Hypervisor) -> None:
    links = {
        each["ifname"]: each for each in json.loads(carrier.check_output("ip -j address")) if each
    }
    for network in document.spec.networks:
        if network.mode == "bridge":
            _check_bridge(network, links)


def _check_bridge(network: Network, links: dict[str, Any]) -> None:
    bridge = links[network.name]
    assert {*network.addresses} <= {each["local"] for each in bridge["addr_info"]}
    assert network.mtu == bridge["mtu"]
    if network.uplink and not network.vlan:
        assert network.name == links[network.uplink]["master"]


def test_vms_are_as_declared(carrier: Any, hypervisor: str) -> None:
    for node in _carried(hypervisor):
        assert node.spec.vm
        state = {"running": "running", "off": "shut off"}[node.spec.vm.state]
        assert state == carrier.check_output("virsh domstate %s", node.name).strip()
        assert mac_of(node.name) in carrier.check_output("virsh dumpxml %s", node.name)
        told = carrier.check_output("virsh dominfo %s", node.name)
        wanted = "enable" if node.spec.vm.autostart else "disable"
        assert ["Autostart:", wanted] in [line.split() for line in told.splitlines()]
