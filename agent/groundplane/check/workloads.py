"""Workloads: they have an existing node, named ports, and usable addresses."""

from collections.abc import Iterator
from functools import lru_cache

from groundplane.check.metadata import check_metadata, have_valid_metadata
from groundplane.check.probes import check_probe
from groundplane.documents.catalog import Catalog, DocumentKey, key_of
from groundplane.documents.families import site_families
from groundplane.documents.site import Workload, WorkloadPort, WorkloadSpec
from groundplane.errors import Fault
from groundplane.hint import Work, did_you_mean
from groundplane.net import address, names
from groundplane.net.protocols import Family


def check_workloads(catalog: Catalog) -> Iterator[Fault]:
    """Yield the errors of every Workload."""
    instances: dict[tuple[str, str], DocumentKey] = {}
    work = Work()
    are_named_well = have_valid_metadata(catalog.workloads.values())
    for workload in catalog.workloads.values():
        key, meta = key_of(workload), workload.metadata
        if not are_named_well:
            yield from check_metadata(catalog, workload, key)
        if not _is_plain(catalog, workload.spec):
            yield from _workload(catalog, key, workload, work)
        # Units are named <namespace>-<name>: two workloads of a node may not have the same one.
        place = (workload.spec.node, f"{meta.namespace}-{meta.name}")
        other = instances.setdefault(place, key)
        if other != key:
            message = f'its unit "{place[1]}" is also that of {other}'
            yield catalog.fault(key, "metadata.name", message)


def _is_plain(catalog: Catalog, spec: WorkloadSpec) -> bool:
    """Return whether *spec* has no more than a node and valid ports, as most of a large site do."""
    return (
        spec.node in catalog.nodes
        and not (spec.addresses or spec.hostname is not None or spec.readiness_probe is not None)
        and 0 <= spec.weight <= 256
        and _are_plain(spec.ports)
    )


@lru_cache(maxsize=4096)  # a site repeats a few
def _are_plain(ports: tuple[WorkloadPort, ...]) -> bool:
    return (
        len({port.name for port in ports}) == len(ports)
        and not any(names.port_number(port.port) for port in ports)
        and not any(names.port_name(port.name) for port in ports if port.name)
    )


def _workload(
    catalog: Catalog, key: DocumentKey, workload: Workload, work: Work
) -> Iterator[Fault]:
    spec = workload.spec
    if spec.node not in catalog.nodes:
        hint = did_you_mean(spec.node, catalog.nodes, work)
        yield catalog.fault(key, "spec.node", f'there is no Node "{spec.node}"{hint}')
    if spec.host_network and spec.addresses:
        message = "a workload with hostNetwork has its node's addresses"
        yield catalog.fault(key, "spec.addresses", message)
    if spec.hostname is not None and (fault := names.dns_label(spec.hostname)):
        yield catalog.fault(key, "spec.hostname", fault)
    if not 0 <= spec.weight <= 256:
        yield catalog.fault(key, "spec.weight", f"{spec.weight} is not a weight: 0 to 256")
    if spec.addresses:
        yield from _addresses(catalog, key, workload)
    yield from _ports(catalog, key, workload)
    if spec.readiness_probe is not None:
        yield from check_probe(catalog, key, workload, spec.readiness_probe)


def _addresses(catalog: Catalog, key: DocumentKey, workload: Workload) -> Iterator[Fault]:
    families: list[Family] = []
    for index, each in enumerate(workload.spec.addresses):
        path = f"spec.addresses[{index}]"
        try:
            address.pack(each)
        except ValueError as error:
            yield catalog.fault(key, path, str(error))
            continue
        family = address.family_of(each)
        if family in families:
            yield catalog.fault(key, path, f"a second {family} address; one per family")
        if family not in site_families(catalog.cluster):
            yield catalog.fault(key, path, f"the site has no {family} range")
        families.append(family)


def _ports(catalog: Catalog, key: DocumentKey, workload: Workload) -> Iterator[Fault]:
    named: set[str] = set()
    for index, port in enumerate(workload.spec.ports):
        path = f"spec.ports[{index}]"
        if fault := names.port_number(port.port):
            yield catalog.fault(key, f"{path}.port", fault)
        if not port.name:
            continue
        if fault := names.port_name(port.name):
            yield catalog.fault(key, f"{path}.name", fault)
        if port.name in named:
            yield catalog.fault(
                key, f"{path}.name", f'duplicate port name "{port.name}"; rename one'
            )
        named.add(port.name)
