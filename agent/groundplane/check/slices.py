"""EndpointSlices: endpoints of services without a selector, written by hand or by another tool."""

import ipaddress
from collections.abc import Iterator
from contextlib import suppress

from groundplane.check.metadata import check_metadata
from groundplane.documents.annotations import OTHER_PROXY
from groundplane.documents.catalog import Catalog, key_of
from groundplane.documents.path import join
from groundplane.documents.service import (
    KUBERNETES,
    MANAGED_LABEL,
    SERVICE_LABEL,
    EndpointSlice,
    SliceEndpoint,
)
from groundplane.errors import Fault
from groundplane.net import address, names


def check_slices(catalog: Catalog) -> Iterator[Fault]:
    """Yield the errors of every EndpointSlice that is used, and of Endpoints."""
    for endpoints in catalog.endpoints.values():
        yield from check_metadata(catalog, endpoints)
    for each in used_slices(catalog):
        if key_of(each) not in catalog.mirrors:
            yield from check_metadata(catalog, each)
        yield from _slice(catalog, each)


def used_slices(catalog: Catalog) -> Iterator[EndpointSlice]:
    """Yield the EndpointSlices in use: all except those Kubernetes wrote for its own pods.

    Those are used only for a service that selects no workload.
    """
    for each in catalog.slices.values():
        if each.metadata.labels.get(MANAGED_LABEL) == KUBERNETES:
            namespace, name = each.metadata.namespace, each.metadata.labels.get(SERVICE_LABEL, "")
            of = catalog.services.get((namespace, name))
            if of is None or catalog.labels.matching(namespace, of.spec.selector):
                continue
        yield each


def _slice(catalog: Catalog, each: EndpointSlice) -> Iterator[Fault]:
    key = key_of(each)
    if OTHER_PROXY in each.metadata.labels:
        message = (
            "kube-proxy leaves such a slice to another program; remove the label, or the slice"
        )
        yield catalog.fault(key, join("metadata.labels", OTHER_PROXY), message)
    if SERVICE_LABEL not in each.metadata.labels:
        yield catalog.fault(key, "metadata.labels", f"the label {SERVICE_LABEL} names its service")
    for index, port in enumerate(each.ports):
        if port.port is not None and (fault := names.port_number(port.port)):
            yield catalog.fault(key, f"ports[{index}].port", fault)
    for index, endpoint in enumerate(each.endpoints):
        for path, found in (*_endpoint(catalog, each, endpoint), *_hints(endpoint)):
            yield catalog.fault(key, f"endpoints[{index}].{path}", found)


def _endpoint(
    catalog: Catalog, each: EndpointSlice, endpoint: SliceEndpoint
) -> Iterator[tuple[str, str]]:
    """Yield path and message of each error in one endpoint of the slice *each*."""
    if not endpoint.addresses:
        yield "addresses", "at least one address is needed"
    if endpoint.hostname and (fault := names.dns_label(endpoint.hostname)):
        yield "hostname", fault
    if endpoint.node_name and endpoint.node_name not in catalog.nodes:
        yield "nodeName", f'there is no Node "{endpoint.node_name}"'
    for number, text in enumerate(endpoint.addresses):
        found = _endpoint_address(text, each.address_type) or _in_service_range(catalog, text)
        if found:
            yield f"addresses[{number}]", found


def _hints(endpoint: SliceEndpoint) -> Iterator[tuple[str, str]]:
    """Yield path and error of each empty hint."""
    if endpoint.hints is None:
        return
    zones = [each.name for each in endpoint.hints.for_zones]
    nodes = [each.name for each in endpoint.hints.for_nodes]
    for field, hinted in (("forZones", zones), ("forNodes", nodes)):
        for index, name in enumerate(hinted):
            if not name:
                yield f"hints.{field}[{index}].name", "a name is needed"


def _endpoint_address(text: str, family: str) -> str | None:
    """Return why *text* is not an endpoint address (ValidateEndpointIP), or None if it is one."""
    try:
        address.pack(text)
    except ValueError as error:
        return str(error)
    if address.family_of(text) != family:
        return f"{text} is not an {family} address"
    found = ipaddress.ip_address(text)
    if found.is_unspecified or found.is_loopback or found.is_link_local or found.is_multicast:
        return f"{text} cannot be an endpoint"
    return None


def _in_service_range(catalog: Catalog, text: str) -> str | None:
    """Return an error if *text* is in a service range; invalid ranges are reported elsewhere."""
    for cidr in catalog.cluster.spec.service_cidrs:
        with suppress(ValueError):
            if address.contains(cidr, text):
                return f"{text} lies in the service range {cidr}: no service is another's endpoint"
    return None
