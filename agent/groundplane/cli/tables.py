"""Rows of `groundplane get`: for each kind its columns, and the object that -o json shows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from groundplane.cli.explain import EndpointStatus, verdicts
from groundplane.cli.services import (
    cluster_ip_text,
    external_text,
    ports_text,
    service_document,
)
from groundplane.documents.catalog import Catalog
from groundplane.project.select_endpoints import Failing
from groundplane.site import compiled


class Row(NamedTuple):
    """One object: *columns* are (heading, cell), *more* those that only -o wide shows."""

    namespace: str
    name: str
    columns: Sequence[tuple[str, str]]
    more: Sequence[tuple[str, str]]
    document: dict[str, Any]

    def headings(self, *, wide: bool) -> list[str]:
        return [heading for heading, _ in (*self.columns, *(self.more if wide else ()))]

    def cells(self, *, wide: bool) -> list[str]:
        return [cell for _, cell in (*self.columns, *(self.more if wide else ()))]


def rows(plural: str, catalog: Catalog, site: compiled.Site, failing: Failing) -> list[Row]:
    """Return the rows of all objects of a kind, by namespace and name."""
    match plural:
        case "services":
            return [_service(catalog, each, failing) for each in site.services]
        case "endpoints":
            return [_endpoints(catalog, each, failing) for each in site.services]
        case "workloads":
            return _workloads(catalog, site, failing)
    return _nodes(catalog, site)


def targets_text(found: Sequence[EndpointStatus]) -> str:
    """Return where traffic goes, as kubectl writes it: address:port, comma-separated."""
    shown = [
        f"[{address}]:{target}" if ":" in address else f"{address}:{target}"
        for verdict in found
        if verdict.counts
        for target in dict.fromkeys(verdict.targets)
        if target
        for address in verdict.addresses
    ]
    if len(shown) > 6:
        return f"{','.join(shown[:6])} + {len(shown) - 6} more..."
    return ",".join(shown) or "<none>"


def service_verdicts(
    catalog: Catalog, service: compiled.Service, failing: Failing
) -> list[EndpointStatus]:
    """Return the possible endpoints of *service*; none if it is an alias of an external name."""
    return [] if service.external_name else verdicts(catalog, service, failing)


def _service(catalog: Catalog, service: compiled.Service, failing: Failing) -> Row:
    document, found = catalog.services[service.key], service_verdicts(catalog, service, failing)
    ready = sum(verdict.counts for verdict in found)
    selector = ",".join(f"{k}={v}" for k, v in document.spec.selector.items()) or "<none>"
    return Row(
        *service.key,
        [
            ("NAME", service.name),
            ("TYPE", document.spec.type),
            ("CLUSTER-IP", cluster_ip_text(service)),
            ("EXTERNAL-IP", external_text(document, service)),
            ("PORT(S)", ports_text(document, service)),
            ("ENDPOINTS", "<none>" if document.external else f"{ready}/{len(found)}"),
        ],
        [("SELECTOR", selector)],
        service_document(document, service),
    )


def endpoint_documents(found: Sequence[EndpointStatus]) -> list[dict[str, Any]]:
    return [
        {
            "workload": verdict.workload,
            "node": verdict.node,
            "addresses": list(verdict.addresses),
            "ports": list(verdict.targets),
            "counts": verdict.counts,
            "reason": verdict.reason,
        }
        for verdict in found
    ]


def _endpoints(catalog: Catalog, service: compiled.Service, failing: Failing) -> Row:
    found = service_verdicts(catalog, service, failing)
    idle = ", ".join(f"{v.workload or v.node}: {v.reason}" for v in found if not v.counts)
    return Row(
        *service.key,
        [("NAME", service.name), ("ENDPOINTS", targets_text(found))],
        [("NOT COUNTED", idle or "<none>")],
        {
            "apiVersion": "groundplane/v1",
            "kind": "Endpoints",
            "metadata": {"name": service.name, "namespace": service.namespace},
            "endpoints": endpoint_documents(found),
        },
    )


def _workloads(catalog: Catalog, site: compiled.Site, failing: Failing) -> list[Row]:
    own = {(each.namespace, each.name): each.addresses for each in site.workloads}
    nodes = {node.name: node.addresses for node in site.nodes}
    found = []
    for key in sorted(catalog.workloads):
        document = catalog.workloads[key]
        addresses = own.get(key) or nodes[document.spec.node]
        ports = ",".join(f"{p.name or '-'}:{p.port}/{p.protocol}" for p in document.spec.ports)
        state = "failing" if key in failing else document.spec.state
        shown = msgspec.to_builtins(document)
        shown["metadata"]["namespace"] = key[0]
        if not document.spec.host_network:  # else it has its node's addresses and lists none
            shown["spec"]["addresses"] = list(addresses)
        labels = ",".join(f"{k}={v}" for k, v in document.metadata.labels.items())
        columns = [
            ("NAME", key[1]),
            ("STATE", state),
            ("NODE", document.spec.node),
            ("ADDRESS", ",".join(addresses)),
            ("PORT(S)", ports or "<none>"),
        ]
        found.append(Row(*key, columns, [("LABELS", labels or "<none>")], shown))
    return found


def _nodes(catalog: Catalog, site: compiled.Site) -> list[Row]:
    found = []
    for node in site.nodes:
        document = catalog.nodes[node.name]
        count = sum(each.spec.node == node.name for each in catalog.workloads.values())
        shown = msgspec.to_builtins(document)
        shown["spec"]["workloadSubnets"] = list(node.subnets)
        columns = [
            ("NAME", node.name),
            ("ZONE", document.zone or "<none>"),
            ("ADDRESS", ",".join(node.addresses)),
            ("SUBNET", ",".join(node.subnets)),
            ("WORKLOADS", str(count)),
        ]
        labels = ",".join(f"{k}={v}" for k, v in document.metadata.labels.items())
        found.append(Row("", node.name, columns, [("LABELS", labels or "<none>")], shown))
    return found
