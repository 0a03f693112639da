"""What IPVS cannot express: said of services on a site where a node's proxy mode is ipvs."""

from collections.abc import Iterator
from typing import Final

from groundplane.documents.catalog import Catalog, key_of
from groundplane.documents.path import join
from groundplane.documents.service import FORWARDING, LOAD_BALANCING, Service
from groundplane.errors import Fault

_WHERE: Final = "on nodes with proxyMode ipvs"


def ipvs_warnings(catalog: Catalog) -> Iterator[Fault]:
    """Yield what of each service is otherwise where IPVS balances. See docs/decisions/0024-ipvs.md."""
    site = catalog.cluster.spec.proxy_mode
    modes = {node.spec.proxy_mode or site for node in catalog.nodes.values()}
    if "ipvs" not in modes:
        for service in catalog.services.values():
            if FORWARDING in service.metadata.annotations:
                message = "it is of no effect, since no node has proxyMode ipvs"
                yield catalog.fault(
                    key_of(service), join("metadata.annotations", FORWARDING), message
                )
        return
    for service in catalog.services.values():
        for path, message in _differences(catalog, service, mixed=len(modes) > 1):
            yield catalog.fault(key_of(service), path, message)


def _differences(catalog: Catalog, service: Service, *, mixed: bool) -> Iterator[tuple[str, str]]:
    if service.external or service.headless:
        return
    spec = service.spec
    if service.affinity_seconds and spec.external_traffic_policy == "Local":
        who = "a client inside the site that asks an address from outside"
        yield "spec.sessionAffinity", f"{_WHERE}, {who} does not stay with its endpoint"
    if service.forwarding != "masquerading" and mixed:
        path = join("metadata.annotations", FORWARDING)
        yield path, "on nodes with proxyMode nftables, its endpoints are translated to"
    if not service.consistent_hash:
        return
    path = join("metadata.annotations", LOAD_BALANCING)
    if len(_weights(catalog, service)) > 1:
        yield path, f"{_WHERE}, the weights of its workloads do not count"
    if mixed:
        yield path, f"{_WHERE}, a client gets another endpoint than on the other nodes"


def _weights(catalog: Catalog, service: Service) -> set[int]:
    selector, namespace = service.spec.selector, service.metadata.namespace
    return {
        workload.spec.weight
        for workload in catalog.workloads.values()
        if workload.metadata.namespace == namespace
        and selector
        and selector.items() <= workload.metadata.labels.items()
    }
