"""Hypervisors: how to reach them, and their networks for VMs."""

import re
from collections.abc import Iterator

from groundplane.check.management import management_faults
from groundplane.check.metadata import check_metadata
from groundplane.check.ranges import own_ranges, range_fault
from groundplane.check.segments import link_name, segment, vlan_number, within
from groundplane.documents.catalog import Catalog, key_of
from groundplane.documents.machine import Hypervisor, Network
from groundplane.errors import Fault, FieldFaults
from groundplane.net import address


def check_hypervisors(catalog: Catalog) -> Iterator[Fault]:
    """Yield the errors of every Hypervisor."""
    for hypervisor in catalog.hypervisors.values():
        yield from check_metadata(catalog, hypervisor)
        for path, message in _hypervisor(catalog, hypervisor):
            yield catalog.fault(key_of(hypervisor), path, message)


def _hypervisor(catalog: Catalog, hypervisor: Hypervisor) -> FieldFaults:
    spec = hypervisor.spec
    yield from _management(hypervisor)
    if not re.fullmatch(r"(/[A-Za-z0-9_.-]+)+", spec.pool) or "/.." in spec.pool:
        yield "spec.pool", f'"{spec.pool}" is not an absolute path of plain names'
    seen: set[str] = set()
    ranges = own_ranges(catalog)
    for index, network in enumerate(spec.networks):
        path = f"spec.networks[{index}]"
        if fault := link_name(network.name):
            yield f"{path}.name", fault
        if network.name in seen:
            yield f"{path}.name", f'a second network "{network.name}"'
        seen.add(network.name)
        for field, message in _network(network, ranges):
            yield f"{path}.{field}", message


def _management(hypervisor: Hypervisor) -> FieldFaults:
    management = hypervisor.spec.management
    if management.host is None:
        yield "spec.management.host", "it is needed: how the deploy reaches this hypervisor"
    for field, message in management_faults(management):
        yield f"spec.management.{field}", message


def _network(network: Network, own: list[tuple[str, str]]) -> FieldFaults:
    yield from segment(network.cidrs, network.gateways, network.nameservers, network.mtu)
    for index, cidr in enumerate(network.cidrs):
        for _, other in own if range_fault(cidr) is None else ():
            if address.overlap(cidr, other):
                yield f"cidrs[{index}]", f"{cidr} overlaps {other}"
    yield from (_bridge if network.mode == "bridge" else _routed)(network)


def _routed(network: Network) -> FieldFaults:
    for field in ("uplink", "vlan", "addresses", "gateways"):
        if getattr(network, field):
            yield field, f"it is of a bridge, and this is a network with mode {network.mode}"


def _bridge(network: Network) -> FieldFaults:
    if network.uplink is not None and (fault := link_name(network.uplink)):
        yield "uplink", fault
    if network.vlan is not None:
        if network.uplink is None:
            yield "vlan", "it is of an uplink, and there is none"
        elif fault := vlan_number(network.vlan):
            yield "vlan", fault
    yield from within("addresses", network.addresses, network.cidrs)
