"""Endpoints that are not workloads: the Cluster decides whether nodes and outside hosts may be.

An EndpointSlice makes every node connect to its addresses. (In Kubernetes, anyone who may write
EndpointSlices can do this: CVE-2021-25740.)
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress

from groundplane.check.ranges import external_range_fault, host_fault, own_ranges
from groundplane.check.slices import used_slices
from groundplane.documents.catalog import Catalog, key_of
from groundplane.documents.service import EndpointSlice
from groundplane.errors import Fault
from groundplane.net import address


def check_foreign_endpoints(catalog: Catalog) -> Iterator[Fault]:
    """Yield the errors in the Cluster's spec.endpoints, and of endpoints that it does not allow."""
    policy = catalog.cluster.spec.endpoints
    for index, cidr in enumerate(policy.outside_cidrs):
        if fault := external_range_fault(cidr):
            path = f"spec.endpoints.outsideCIDRs[{index}]"
            yield catalog.fault(key_of(catalog.cluster), path, fault)
    nodes = node_addresses(catalog)
    own = [cidr for _, cidr in own_ranges(catalog)]
    outside = [cidr for cidr in policy.outside_cidrs if external_range_fault(cidr) is None]
    for each, path, text in slice_addresses(catalog):
        if node := nodes.get(text):
            if not policy.nodes:
                yield catalog.fault(key_of(each), path, node_message(text, node))
        elif not any(address.contains(cidr, text) for cidr in (*own, *outside)):
            message = (
                f"{text} is outside the site: spec.endpoints.outsideCIDRs of the Cluster has the "
                "ranges of such endpoints"
            )
            yield catalog.fault(key_of(each), path, message)


def check_bridge_endpoints(catalog: Catalog, bridges: Mapping[str, str]) -> Iterator[Fault]:
    """Yield an error for each endpoint that is a node by the address of its bridge.

    *bridges* maps a bridge's canonical address to its node's name; it is known after allocation.
    """
    if catalog.cluster.spec.endpoints.nodes:
        return
    for each, path, text in slice_addresses(catalog):
        if node := bridges.get(text):
            yield catalog.fault(key_of(each), path, node_message(text, node))


def slice_addresses(catalog: Catalog) -> Iterator[tuple[EndpointSlice, str, str]]:
    """Yield each host address in the slices in use, with its path; other text is skipped."""
    for each in used_slices(catalog):
        for index, endpoint in enumerate(each.endpoints):
            for number, text in enumerate(endpoint.addresses):
                if host_fault(text) is None:
                    path = f"endpoints[{index}].addresses[{number}]"
                    yield each, path, address.canonical(text)


def node_addresses(catalog: Catalog) -> dict[str, str]:
    """Return node names, keyed by the nodes' canonical addresses."""
    found: dict[str, str] = {}
    for node in catalog.nodes.values():
        for text in node.spec.addresses:
            with suppress(ValueError):  # reported separately
                found[address.canonical(text)] = node.name
    return found


def node_message(text: str, node: str) -> str:
    return (
        f"{text} is an address of Node/{node}: only with spec.endpoints.nodes of the Cluster may "
        "a slice lead to nodes; a Workload with hostNetwork names what runs on one"
    )
