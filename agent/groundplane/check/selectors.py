"""Warnings about settings that are allowed but rarely intended."""

from collections.abc import Iterator
from typing import Final

from groundplane.check.dns_names import name_warnings, namespace_warnings
from groundplane.check.pins import pin_warnings
from groundplane.check.probes import probe_warnings
from groundplane.check.proxy_modes import proxy_mode_warnings
from groundplane.check.tenants import tenant_warnings
from groundplane.documents.catalog import Catalog, key_of
from groundplane.documents.endpoints import skipped_for
from groundplane.documents.selector import LabelIndex
from groundplane.documents.service import (
    KUBERNETES,
    MANAGED_LABEL,
    SERVICE_LABEL,
    EndpointSlice,
    Service,
)
from groundplane.errors import Fault
from groundplane.hint import Work, nearest

_LOOK: Final = 20  # cost of comparing with one workload, in pairs of characters


def warnings(catalog: Catalog) -> Iterator[Fault]:
    """Yield a warning for each setting in *catalog* that is allowed but rarely intended."""
    index, work = catalog.labels, Work()
    sliced = {
        (each.metadata.namespace, each.metadata.labels.get(SERVICE_LABEL))
        for each in catalog.slices.values()
    }
    for (namespace, name), service in catalog.services.items():
        for path, message in (*pin_warnings(service), *name_warnings(service)):
            yield catalog.fault(key_of(service), path, message)
        if service.external:
            yield from _external(catalog, service)
            continue
        if service.spec.external_name:
            message = "it has no effect: only a service of type ExternalName uses it"
            yield catalog.fault(key_of(service), "spec.externalName", message)
        if not service.spec.selector or (namespace, name) in sliced:
            continue
        if not index.matching(namespace, service.spec.selector):
            hint = nearest_labels(catalog, service, index, work)
            yield catalog.fault(
                key_of(service), "spec.selector", f"selector matches no Workload{hint}"
            )
    for key, endpoints in catalog.endpoints.items():
        if reason := skipped_for(endpoints, catalog.services.get(key)):
            yield catalog.fault(key_of(endpoints), "", reason)
    yield from _slice_warnings(catalog, index)
    yield from probe_warnings(catalog)
    yield from proxy_mode_warnings(catalog)
    yield from namespace_warnings(catalog)
    yield from tenant_warnings(catalog)


def _slice_warnings(catalog: Catalog, index: LabelIndex) -> Iterator[Fault]:
    for each in catalog.slices.values():
        namespace, labels = each.metadata.namespace, each.metadata.labels
        of = catalog.services.get((namespace, labels.get(SERVICE_LABEL, "")))
        if of is None:
            message = (
                f'there is no Service "{labels.get(SERVICE_LABEL)}" in namespace "{namespace}"'
            )
            yield catalog.fault(key_of(each), "metadata.labels", message)
        elif labels.get(MANAGED_LABEL) == KUBERNETES and index.matching(
            namespace, of.spec.selector
        ):
            message = "skipped: Kubernetes wrote it for pods; the workloads of the selector count"
            yield catalog.fault(key_of(each), "metadata.labels", message)
        else:
            if labels.get(MANAGED_LABEL) == KUBERNETES and each.endpoints:
                message = (
                    "Kubernetes wrote it for pods; nothing here keeps these endpoints up to date"
                )
                yield catalog.fault(key_of(each), "metadata.labels", message)
            for path, message in _of_no_use(each, of):
                yield catalog.fault(key_of(each), path, message)


def _of_no_use(each: EndpointSlice, service: Service) -> Iterator[tuple[str, str]]:
    """Yield a warning for each part of a slice from which its *service* gets no endpoint."""
    name = service.metadata.name
    known = {(port.name, port.protocol) for port in service.spec.ports}
    for index, port in enumerate(each.ports):
        if (port.name or "", port.protocol) not in known:
            what = f'port "{port.name}"' if port.name else "port without a name"
            yield f"ports[{index}]", f"Service/{name} has no {port.protocol} {what}"
    if each.endpoints and not each.ports and known:
        yield "endpoints", "without ports, nothing leads to them"
    for index, endpoint in enumerate(each.endpoints):
        if len(endpoint.addresses) > 1:
            yield f"endpoints[{index}].addresses", "only the first one is used, as in Kubernetes"


def _external(catalog: Catalog, service: Service) -> Iterator[Fault]:
    """Yield warnings for settings that are rarely intended with an ExternalName."""
    name = service.spec.external_name or ""
    if service.spec.selector:
        message = "it selects nothing: a service of type ExternalName has no endpoints"
        yield catalog.fault(key_of(service), "spec.selector", message)
    if name.replace(".", "").isdecimal():
        message = f'"{name}" is a name here, and no address; an EndpointSlice has addresses'
        yield catalog.fault(key_of(service), "spec.externalName", message)


def nearest_labels(
    catalog: Catalog, service: Service, index: LabelIndex, work: Work | None = None
) -> str:
    """Return a hint naming labels that *service* was probably meant to select, or "".

    *index* contains all workloads. The search compares each one, and stops when *work* is used up.
    """
    work = work or Work()
    if not work.take(_LOOK * (len(catalog.workloads) + len(catalog.pod_templates))):
        return ""
    namespace, selector = service.metadata.namespace, service.spec.selector
    for kind, of, name, labels in catalog.pod_templates:
        if of == namespace and selector.items() <= labels.items():
            return f"; {kind}/{name} is skipped: write a Workload for each of its replicas"
    present = [w for w in catalog.workloads.values() if w.metadata.namespace == namespace]
    others = {w.metadata.namespace for w in catalog.workloads.values()} - {namespace}
    for other in sorted(others):
        if index.matching(other, selector):
            return f'; namespace "{other}" has workloads with these labels'
    if not present:
        return f'; namespace "{namespace}" has no workloads'
    pairs = sorted({f"{key}={value}" for w in present for key, value in w.metadata.labels.items()})
    for key, value in selector.items():
        if f"{key}={value}" not in pairs:
            close = nearest(f"{key}={value}", pairs, work)
            here = f"; labels here: {', '.join(pairs[:10]) or 'none'}"
            hint = f", the nearest label is {close}" if close else here
            return f"; no workload of namespace {namespace} has {key}={value}{hint}"
    return "; no one workload here has all of its labels"
