"""Endpoints of services: they have the target ports, and their number is within kernel limits."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from groundplane.documents.catalog import Catalog, DocumentKey, key_of
from groundplane.documents.selector import LabelIndex
from groundplane.documents.service import (
    KUBERNETES,
    MANAGED_LABEL,
    SERVICE_LABEL,
    EndpointSlice,
    Service,
)
from groundplane.documents.site import Workload
from groundplane.errors import Fault
from groundplane.site.map_limits import (
    MAX_AFFINITY_TIMEOUTS,
    MAX_ENDPOINTS,
    MAX_HASHED_ENDPOINTS,
    MAX_STICKY_ENDPOINTS,
)

Slices = Mapping[tuple[str, str], list[EndpointSlice]]  # by service


def slices_by_service(catalog: Catalog) -> Slices:
    """Return the EndpointSlices of each service that has one."""
    found: dict[tuple[str, str], list[EndpointSlice]] = defaultdict(list)
    for each in catalog.slices.values():
        if name := each.metadata.labels.get(SERVICE_LABEL):
            found[each.metadata.namespace, name].append(each)
    return dict(found)


def check_endpoints(
    catalog: Catalog, key: DocumentKey, service: Service, index: LabelIndex, slices: Slices
) -> Iterator[Fault]:
    """Yield the errors of *service* that depend on its endpoints."""
    workloads = index.matching(service.metadata.namespace, service.spec.selector)
    count = len(workloads)
    if found := slices.get((key.namespace, key.name)):
        count += _most(found, managed=not workloads)
    limit, what = _limit(service)
    if count > limit:
        path = "spec.selector" if workloads else ""
        message = f"it has {count} endpoints; a service{what} has at most {limit}"
        yield catalog.fault(key, path, message)
    if workloads:
        yield from _targets(catalog, key, service, workloads)


def _most(slices: list[EndpointSlice], *, managed: bool) -> int:
    """Return the number of endpoints in *slices*, counting only the family with more."""
    counts: Counter[str] = Counter()
    for each in slices:
        if managed or each.metadata.labels.get(MANAGED_LABEL) != KUBERNETES:
            counts[each.address_type] += len(each.endpoints)
    return max(counts.values(), default=0)


def _limit(service: Service) -> tuple[int, str]:
    if service.headless:
        return MAX_ENDPOINTS, ""
    if service.affinity_seconds:
        return MAX_STICKY_ENDPOINTS, " with session affinity"
    if service.consistent_hash:
        return MAX_HASHED_ENDPOINTS, " with consistent hashing"
    return MAX_ENDPOINTS, ""


def _targets(
    catalog: Catalog, key: DocumentKey, service: Service, workloads: list[Workload]
) -> Iterator[Fault]:
    """Yield an error for each named target port that none of *workloads* has."""
    for number, port in enumerate(service.spec.ports):
        if isinstance(port.target, int):
            continue
        wanted = (port.target, port.protocol)
        ports = [each for workload in workloads for each in workload.spec.ports]
        have = {(each.name, each.protocol) for each in ports}
        if wanted not in have:
            known = ", ".join(sorted(f"{name}/{protocol}" for name, protocol in have if name))
            yield catalog.fault(
                key,
                f"spec.ports[{number}].targetPort",
                f'no workload it selects has a {port.protocol} port named "{port.target}"; '
                f"they have: {known or 'none'}",
            )


def check_timeouts(catalog: Catalog) -> Iterator[Fault]:
    """Yield an error for each affinity timeout beyond the number a cluster can have."""
    first: dict[int, Service] = {}
    for _, service in sorted(catalog.services.items()):
        if service.affinity_seconds and not (service.headless or service.external):
            first.setdefault(service.affinity_seconds, service)
    used = ", ".join(map(str, sorted(first)))
    for service in list(first.values())[MAX_AFFINITY_TIMEOUTS:]:
        yield catalog.fault(
            key_of(service),
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
            f"a site has at most {MAX_AFFINITY_TIMEOUTS} different affinity timeouts; these are "
            f"in use: {used}",
        )
