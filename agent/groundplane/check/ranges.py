"""Address ranges: their form, and the cluster's own ranges."""

import ipaddress
from collections.abc import Iterator

from groundplane.documents.catalog import Catalog, DocumentKey
from groundplane.errors import Fault
from groundplane.net import address


def range_fault(cidr: str) -> str | None:
    """Return why *cidr* is not a range, or None if it is one."""
    try:
        address.network(cidr)
    except ValueError as error:
        return str(error)
    return None


def external_range_fault(text: str) -> str | None:
    """Return why *text* is not a range (CIDR or FIRST-LAST), or None if it is one."""
    try:
        address.first_last(text)
    except ValueError as error:
        return str(error)
    return None


def host_fault(text: str) -> str | None:
    """Return why *text* is not the address of a host, or None if it is one."""
    try:
        address.pack(text)
    except ValueError as error:
        return str(error)
    found = ipaddress.ip_address(text)
    if found.is_unspecified or found.is_loopback or found.is_multicast or found.is_link_local:
        return f"{text} is not an address of a host"
    return None


def own_ranges(catalog: Catalog) -> list[tuple[str, str]]:
    """Return path and text of each valid service and workload range."""
    spec = catalog.cluster.spec
    listed = [(f"spec.serviceCIDRs[{i}]", cidr) for i, cidr in enumerate(spec.service_cidrs)]
    listed += [
        (f"spec.workloadCIDRs[{i}].cidr", each.cidr) for i, each in enumerate(spec.workload_cidrs)
    ]
    return [(path, cidr) for path, cidr in listed if range_fault(cidr) is None]


def outside_ranges(catalog: Catalog, key: DocumentKey, path: str, text: str) -> Iterator[Fault]:
    """Yield an error if *text* is not a host address, or is in a range of the Cluster."""
    if fault := host_fault(text):
        yield catalog.fault(key, path, fault)
        return
    for _, cidr in own_ranges(catalog):
        if address.contains(cidr, text):
            yield catalog.fault(key, path, f"{text} lies in the range {cidr}")
