"""EndpointSlices: endpoints of services without a selector, written by hand or by another tool."""

import ipaddress
from collections.abc import Iterator
from contextlib import suppress

from groundplane.check import names
from groundplane.check.metadata import check_metadata
from groundplane.errors import Fault
from groundplane.model import address
from groundplane.model.catalog import Catalog, key_of
from groundplane.model.service import EndpointSlice, SliceEndpoint

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_LABEL = "endpointslice.kubernetes.io/managed-by"
KUBERNETES = "endpointslice-controller.k8s.io"


def check_slices(catalog: Catalog) -> Iterator[Fault]:
    """Yield the faults of every EndpointSlice."""
    for each in catalog.slices.values():
        yield from check_metadata(catalog, each)
        yield from _slice(catalog, each)


def _slice(catalog: Catalog, each: EndpointSlice) -> Iterator[Fault]:
    key = key_of(each)
    if SERVICE_LABEL not in each.metadata.labels:
        yield catalog.fault(key, "metadata.labels", f"the label {SERVICE_LABEL} names its service")
    for index, port in enumerate(each.ports):
        if port.port is not None and (fault := names.port_number(port.port)):
            yield catalog.fault(key, f"ports[{index}].port", fault)
    for index, endpoint in enumerate(each.endpoints):
        if not endpoint.addresses:
            message = "at least one address is needed"
            yield catalog.fault(key, f"endpoints[{index}].addresses", message)
        if endpoint.hostname and (fault := names.dns_label(endpoint.hostname)):
            yield catalog.fault(key, f"endpoints[{index}].hostname", fault)
        if endpoint.node_name and endpoint.node_name not in catalog.nodes:
            message = f'there is no Node "{endpoint.node_name}"'
            yield catalog.fault(key, f"endpoints[{index}].nodeName", message)
        for path in _empty_hints(endpoint):
            yield catalog.fault(key, f"endpoints[{index}].hints.{path}", "a name is needed")
        for number, text in enumerate(endpoint.addresses):
            fault = _endpoint_address(text, each.address_type) or _in_service_range(catalog, text)
            if fault:
                yield catalog.fault(key, f"endpoints[{index}].addresses[{number}]", fault)


def _empty_hints(endpoint: SliceEndpoint) -> Iterator[str]:
    """Yield the path of each hint that names nothing."""
    if endpoint.hints is None:
        return
    for field, hints in (
        ("forZones", endpoint.hints.for_zones),
        ("forNodes", endpoint.hints.for_nodes),
    ):
        for index, hint in enumerate(hints):
            if not hint.name:
                yield f"{field}[{index}].name"


def _endpoint_address(text: str, family: str) -> str | None:
    """Return what keeps *text* from being an endpoint (ValidateEndpointIP), or None."""
    try:
        address.pack(text)
    except ValueError as error:
        return str(error)
    if address.family_of(text) != family:
        return f"{text} is no {family} address"
    found = ipaddress.ip_address(text)
    if found.is_unspecified or found.is_loopback or found.is_link_local or found.is_multicast:
        return f"{text} cannot be an endpoint"
    return None


def _in_service_range(catalog: Catalog, text: str) -> str | None:
    """Return a fault when *text* is a service's; ranges that are none are faults of their own."""
    for cidr in catalog.cluster.spec.service_cidrs:
        with suppress(ValueError):
            if address.contains(cidr, text):
                return f"{text} lies in the service range {cidr}: no service is another's endpoint"
    return None
