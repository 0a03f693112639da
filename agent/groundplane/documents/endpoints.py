"""Kubernetes' Endpoints (core/v1), field for field, and their equivalent EndpointSlices.

Kubernetes deprecates the kind. Like Kubernetes' mirroring controller (KEP-0752), this module
converts it to slices for services without a selector.
"""

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Final, Literal, NamedTuple

import msgspec

from groundplane.documents.meta import Document, ObjectMeta
from groundplane.documents.service import (
    MANAGED_LABEL,
    SERVICE_LABEL,
    EndpointConditions,
    EndpointSlice,
    Service,
    SliceEndpoint,
    SlicePort,
)
from groundplane.net.address import family_of
from groundplane.net.protocols import FAMILIES, Family, Protocol

SKIP_MIRROR: Final = "endpointslice.kubernetes.io/skip-mirror"
LEADER: Final = "control-plane.alpha.kubernetes.io/leader"
_MIRRORING: Final = "endpointslicemirroring-controller.k8s.io"
_ENDPOINT: Final = re.compile(r"endpoints\[(\d+)\](?:\.addresses\[0\])?")


class EndpointAddress(Document, frozen=True):
    ip: str
    hostname: str | None = None
    node_name: str | None = None
    target_ref: Any = None


class EndpointPort(Document, frozen=True):
    empty_is_unset: ClassVar = ("protocol",)

    port: int
    name: str = ""
    protocol: Protocol = "TCP"
    app_protocol: str | None = None


class EndpointSubset(Document, frozen=True):
    """Each of its addresses has each of its ports."""

    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class Endpoints(Document, frozen=True):
    """The endpoints of the Service of the same name."""

    api_version: Literal["v1"]
    kind: Literal["Endpoints"]
    metadata: ObjectMeta
    subsets: tuple[EndpointSubset, ...] = ()


def skipped_for(endpoints: Endpoints, service: Service | None) -> str:
    """Return why *endpoints* are not mirrored, or "" if they are converted to slices.

    *service* is the Service of the same name, if there is one.
    """
    meta = endpoints.metadata
    if meta.labels.get(SKIP_MIRROR) == "true":
        return f"skipped: the label {SKIP_MIRROR} says so"
    if LEADER in meta.annotations:
        return "skipped: they hold a lock of a leader election, and no endpoints"
    if service is None:
        return f'there is no Service "{meta.name}" in namespace "{meta.namespace}"'
    if service.spec.selector:
        return "skipped: the service has a selector, which says what its endpoints are"
    return ""


class Mirror(NamedTuple):
    """The origin of a mirrored slice: the Endpoints *name*."""

    name: str
    subset: int
    addresses: tuple[str, ...]  # for each endpoint of the slice its path in the subset

    def written(self, path: str) -> str:
        """Return the path in the Endpoints document for *path* in the slice."""
        subset = f"subsets[{self.subset}]"
        if found := _ENDPOINT.match(path):
            rest = path[found.end() :] or ".ip"
            return f"{subset}.{self.addresses[int(found[1])]}{rest}"
        if path == "endpoints":
            return f"{subset}.addresses"
        return f"{subset}.{path}" if path.startswith("ports") else path


def mirrored(endpoints: Endpoints) -> Iterator[tuple[EndpointSlice, Mirror]]:
    """Yield a slice for each subset and family of *endpoints*, with a name no document can have."""
    meta = endpoints.metadata
    for number, subset in enumerate(endpoints.subsets):
        listed = [
            *_listed("addresses", subset.addresses, ready=True),
            *_listed("notReadyAddresses", subset.not_ready_addresses, ready=False),
        ]
        ports = tuple(
            SlicePort(
                name=port.name,
                port=port.port,
                protocol=port.protocol,
                app_protocol=port.app_protocol,
            )
            for port in subset.ports
        )
        for family in FAMILIES:
            own = [(path, each) for path, of, each in listed if of == family]
            if own:
                labels = {**meta.labels, SERVICE_LABEL: meta.name, MANAGED_LABEL: _MIRRORING}
                name = f"{meta.name}/subsets[{number}]/{family}"
                made = EndpointSlice(
                    api_version="discovery.k8s.io/v1",
                    kind="EndpointSlice",
                    metadata=msgspec.structs.replace(meta, name=name, labels=labels),
                    address_type=family,
                    endpoints=tuple(each for _, each in own),
                    ports=ports,
                )
                yield made, Mirror(meta.name, number, tuple(path for path, _ in own))


def _listed(
    field: str, addresses: tuple[EndpointAddress, ...], *, ready: bool
) -> Iterator[tuple[str, Family, SliceEndpoint]]:
    for index, each in enumerate(addresses):
        endpoint = SliceEndpoint(
            addresses=(each.ip,),
            conditions=EndpointConditions(ready=ready, serving=ready),
            hostname=each.hostname,
            node_name=each.node_name,
        )
        yield f"{field}[{index}]", family_of(each.ip), endpoint
