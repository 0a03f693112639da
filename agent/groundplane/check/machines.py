"""Machines of Nodes, virtual or bare metal, and how packets cross between segments."""

import re
from collections.abc import Iterator
from typing import Final

from groundplane.check.public_keys import public_key_fault
from groundplane.check.segments import addresses_on, link_name, segment, vlan_number
from groundplane.documents.catalog import Catalog, key_of
from groundplane.documents.machine import Uplink, Vm, quantity
from groundplane.documents.site import Node
from groundplane.errors import Fault, FieldFaults
from groundplane.hint import Work, did_you_mean
from groundplane.net import names

_FILTER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")  # libvirt's RelaxNG schema: less
_LEAST: Final = {"memory": 128 << 20, "disk": 1 << 30}


def check_machines(catalog: Catalog) -> Iterator[Fault]:
    """Yield the errors in the machine fields of Nodes, and in the Cluster's spec.overlay."""
    work = Work()
    for node in catalog.nodes.values():
        for path, message in _node(catalog, node, work):
            yield catalog.fault(key_of(node), path, message)
    for path, message in _overlay(catalog):
        yield catalog.fault(key_of(catalog.cluster), path, message)


def _overlay(catalog: Catalog) -> FieldFaults:
    overlay = catalog.cluster.spec.overlay
    if not 1 <= overlay.vni < 1 << 24:
        yield "spec.overlay.vni", f"{overlay.vni} is not a VNI: 1 to {(1 << 24) - 1}"
    if overlay.port is not None and (fault := names.port_number(overlay.port)):
        yield "spec.overlay.port", fault


def _node(catalog: Catalog, node: Node, work: Work) -> FieldFaults:
    spec = node.spec
    if spec.segment and (fault := names.dns_label(spec.segment)):
        yield "spec.segment", fault
    if spec.vm is not None and spec.uplink is not None:
        yield "spec.uplink", "it is of a bare node, and this one is a VM: see its network"
    if spec.uplink is not None and node.name in catalog.hypervisors:
        yield "spec.uplink", f"Hypervisor/{node.name} is this machine: see its networks"
    if spec.vm is not None:
        for field, message in _vm(catalog, node, spec.vm, work):
            yield _join("spec.vm", field), message
    if spec.uplink is not None:
        for field, message in _uplink(node, spec.uplink):
            yield _join("spec.uplink", field), message
    yield from _wireguard(catalog, node)


def _vm(catalog: Catalog, node: Node, vm: Vm, work: Work) -> FieldFaults:
    if vm.image not in catalog.images:
        hint = did_you_mean(vm.image, catalog.images, work)
        yield "image", f'there is no Image "{vm.image}"{hint}'
    if vm.cpus < 1:
        yield "cpus", f"{vm.cpus} is not a number of CPUs: at least 1"
    for field, least in _LEAST.items():
        try:
            if quantity(getattr(vm, field)) < least:
                yield field, f"{getattr(vm, field)} is too little: at least {least >> 20}Mi"
        except ValueError as error:
            yield field, str(error)
    if vm.filter and not _FILTER.fullmatch(vm.filter):
        yield "filter", f'"{vm.filter}" is not a network filter name such as no-mac-spoofing'
    for index, key in enumerate(vm.authorized_keys):
        if fault := public_key_fault(key):
            yield f"authorizedKeys[{index}]", fault
    yield from _carrier(catalog, node, vm, work)


def _carrier(catalog: Catalog, node: Node, vm: Vm, work: Work) -> FieldFaults:
    hypervisor = catalog.hypervisors.get(vm.hypervisor)
    if hypervisor is None:
        hint = did_you_mean(vm.hypervisor, catalog.hypervisors, work)
        yield "hypervisor", f'there is no Hypervisor "{vm.hypervisor}"{hint}'
        return
    networks = {network.name: network for network in hypervisor.spec.networks}
    network = networks.get(vm.network)
    if network is None:
        hint = did_you_mean(vm.network, networks, work)
        yield "network", f'Hypervisor/{hypervisor.name} has no network "{vm.network}"{hint}'
        return
    if vm.addressing == "dhcp" and network.mode == "bridge":
        yield "addressing", f'nobody of ours gives addresses on the bridge "{network.name}"'
    yield from addresses_on(node.spec.addresses, network.cidrs, f'the network "{network.name}"')


def _uplink(node: Node, uplink: Uplink) -> FieldFaults:
    yield from segment(uplink.cidrs, uplink.gateways, uplink.nameservers, uplink.mtu)
    yield from addresses_on(node.spec.addresses, uplink.cidrs, "spec.uplink.cidrs")
    if fault := link_name(uplink.device):
        yield "device", fault
    elif uplink.vlan is not None and len(f"{uplink.device}.{uplink.vlan}") > 15:
        yield "device", f'"{uplink.device}.{uplink.vlan}" is too long a name for a link: at most 15'
    if uplink.vlan is not None and (fault := vlan_number(uplink.vlan)):
        yield "vlan", fault
    if uplink.bond is not None:
        members = uplink.bond.members
        if not members:
            yield "bond.members", "at least one NIC is needed"
        for index, member in enumerate(members):
            if fault := link_name(member):
                yield f"bond.members[{index}]", fault
            elif member in members[:index] or member == uplink.device:
                yield f"bond.members[{index}]", f'"{member}" is named twice'


def _wireguard(catalog: Catalog, node: Node) -> FieldFaults:
    wanted = catalog.cluster.spec.overlay.mode == "wireguard"
    if node.spec.wireguard is None:
        if wanted and len(catalog.nodes) > 1:
            why = "spec.overlay of the Cluster is wireguard"
            yield "spec.wireguard", f"the node's public key is needed: {why}"
        return
    if fault := names.wireguard_key(node.spec.wireguard.public_key):
        yield "spec.wireguard.publicKey", fault


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if field else path
