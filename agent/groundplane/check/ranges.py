"""Ranges of addresses: their form, and the site's own ones."""

import ipaddress
from collections.abc import Iterator

from groundplane.documents.catalog import Catalog, DocumentKey
from groundplane.errors import Fault
from groundplane.net import address


def range_fault(cidr: str) -> str | None:
    """Return what keeps *cidr* from being a range, or None."""
    try:
        address.network(cidr)
    except ValueError as error:
        return str(error)
    return None


def external_range_fault(text: str) -> str | None:
    """Return what keeps *text* from being a range, which may be written FIRST-LAST, or None."""
    try:
        address.first_last(text)
    except ValueError as error:
        return str(error)
    return None


def host_fault(text: str) -> str | None:
    """Return what keeps *text* from being the address of a host, or None."""
    try:
        address.pack(text)
    except ValueError as error:
        return str(error)
    found = ipaddress.ip_address(text)
    if found.is_unspecified or found.is_loopback or found.is_multicast or found.is_link_local:
        return f"{text} is not an address of a host"
    return None


def own_ranges(catalog: Catalog) -> list[tuple[str, str]]:
    """Return path and text of each range of services and workloads that is one."""
    spec = catalog.cluster.spec
    listed = [(f"spec.serviceCIDRs[{i}]", cidr) for i, cidr in enumerate(spec.service_cidrs)]
    listed += [
        (f"spec.workloadCIDRs[{i}].cidr", each.cidr) for i, each in enumerate(spec.workload_cidrs)
    ]
    return [(path, cidr) for path, cidr in listed if range_fault(cidr) is None]


def outside_ranges(catalog: Catalog, key: DocumentKey, path: str, text: str) -> Iterator[Fault]:
    """Yield a fault when *text* is not an address of a host, or lies in a range of the Cluster."""
    if fault := host_fault(text):
        yield catalog.fault(key, path, fault)
        return
    for _, cidr in own_ranges(catalog):
        if address.contains(cidr, text):
            yield catalog.fault(key, path, f"{text} lies in the range {cidr}")
