"""Why an endpoint counts or does not: the reasons that `get` and `describe` show. Pure."""

from collections.abc import Collection
from typing import NamedTuple

from groundplane.documents.catalog import Catalog
from groundplane.documents.service import KEEP_LAST
from groundplane.project.select_endpoints import NOWHERE, Failing, select_endpoints
from groundplane.site.compiled import Endpoint, Service


class EndpointStatus(NamedTuple):
    """One possible endpoint of a service: whether it gets traffic, and why."""

    workload: str
    node: str
    addresses: tuple[str, ...]
    targets: tuple[int, ...]
    counts: bool
    reason: str


def verdicts(catalog: Catalog, service: Service, failing: Failing) -> list[EndpointStatus]:
    """Return every endpoint of *service*, and every selected workload that is not an endpoint."""
    draining = {node.name for node in catalog.nodes.values() if node.spec.state == "drain"}
    found = endpoint_verdicts(service, failing, draining)
    present = {verdict.workload for verdict in found}
    document = catalog.services[service.key]
    labels = catalog.labels
    for workload in labels.matching(service.namespace, document.spec.selector):
        if workload.metadata.name not in present:
            name, reason = workload.metadata.name, "its state is off"
            found.append(
                EndpointStatus(name, workload.spec.node, (), (), counts=False, reason=reason)
            )
    return found


def endpoint_verdicts(
    service: Service, failing: Failing, draining: Collection[str]
) -> list[EndpointStatus]:
    """Return every endpoint of *service*; *draining* are the names of nodes that drain."""
    chosen = select_endpoints(service, NOWHERE, failing)
    counting = set(chosen.cluster if service.cluster_ips else chosen.ready)
    found = []
    rows = service.endpoints.rows()
    for index, endpoint in enumerate(rows):
        counts = index in counting
        addresses = tuple(text for family in service.families if (text := endpoint.address(family)))
        reason = _reason(service, endpoint, failing, counts=counts)
        if endpoint.terminating and endpoint.node in draining:
            reason = reason.replace("draining", "its node is draining", 1)
        if counts and not addresses:
            counts, reason = False, f"it has no {' or '.join(service.families)} address"
        if counts and service.ports and not any(endpoint.targets):
            names = ", ".join(port.name or str(port.port) for port in service.ports)
            counts, reason = False, f"it has no target for port {names}"
        if counts and not endpoint.weight and any(rows[each].weight for each in counting):
            reason = f"{reason}, but its weight is 0: it keeps what it has, and gets no new ones"
        found.append(
            EndpointStatus(
                endpoint.workload, endpoint.node, addresses, endpoint.targets, counts, reason
            )
        )
    return found


def _reason(service: Service, endpoint: Endpoint, failing: Failing, *, counts: bool) -> str:
    fails = (service.namespace, endpoint.workload) in failing
    if service.publish_not_ready:
        return "ready, as publishNotReadyAddresses says"
    if fails and counts:
        return f"its readiness probe fails, as all do: the last endpoints are kept ({KEEP_LAST})"
    if fails:
        return "its readiness probe fails"
    if endpoint.terminating:
        return "draining, but no other is ready" if counts else "draining"
    if not endpoint.ready:
        return "the document that names it says not ready"
    if missing := [
        port.name or str(port.port)
        for port, target in zip(service.ports, endpoint.targets, strict=True)
        if not target
    ]:
        return f"ready, but has no target for port {', '.join(missing)}"
    return "ready"
