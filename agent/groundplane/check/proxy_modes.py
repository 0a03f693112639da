"""Valid proxy modes, and differences in service behavior between the nodes' modes."""

from collections.abc import Iterator, Sequence
from typing import Final

from groundplane.documents.catalog import Catalog, key_of
from groundplane.documents.path import join
from groundplane.documents.service import FORWARDING, LOAD_BALANCING, Service
from groundplane.errors import Fault
from groundplane.net.proxy import mode_fault
from groundplane.proxies import Features, Proxy, proxies, proxy_of
from groundplane.proxies.proxy import Feature

_PATHS: Final[dict[Feature, str]] = {
    "affinity": "spec.sessionAffinity",
    "consistent hash": join("metadata.annotations", LOAD_BALANCING),
    "forwarding": join("metadata.annotations", FORWARDING),
}


def check_proxy_modes(catalog: Catalog) -> Iterator[Fault]:
    """Yield the errors in `proxyMode`."""
    chosen = [(key_of(catalog.cluster), catalog.cluster.spec.proxy_mode)]
    chosen += [(key_of(n), n.spec.proxy_mode) for n in catalog.nodes.values() if n.spec.proxy_mode]
    for key, mode in chosen:
        if fault := mode_fault(mode):
            yield catalog.fault(key, "spec.proxyMode", fault)


def proxy_mode_warnings(catalog: Catalog) -> Iterator[Fault]:
    """Yield a warning for each setting of a service that differs on some nodes or has no effect."""
    site = catalog.cluster.spec.proxy_mode
    modes = sorted({node.spec.proxy_mode or site for node in catalog.nodes.values()})
    used = [proxy_of(mode) for mode in modes if mode_fault(mode) is None]
    for service in catalog.services.values():
        key = key_of(service)
        if FORWARDING in service.metadata.annotations and not any(each.forwards for each in used):
            names = " or ".join(each.name for each in proxies() if each.forwards)
            message = f"it is of no effect, since no node has proxyMode {names}"
            yield catalog.fault(key, _PATHS["forwarding"], message)
        if not (service.external or service.headless):
            for path, message in _differences(catalog, service, used):
                yield catalog.fault(key, path, message)


def _differences(
    catalog: Catalog, service: Service, used: Sequence[Proxy]
) -> Iterator[tuple[str, str]]:
    has_effect = any(each.forwards for each in used)
    features = Features(
        affinity=bool(service.affinity_seconds),
        external_local=service.spec.external_traffic_policy == "Local",
        consistent_hash=service.consistent_hash,
        equal_weights=not service.consistent_hash or len(_weights(catalog, service)) <= 1,
        forwarding=service.forwarding if has_effect else "masquerading",
        mixed=len(used) > 1,
    )
    for each in used:
        for feature, message in each.unsupported(features):
            yield _PATHS[feature], f"on nodes with proxyMode {each.name}, {message}"


def _weights(catalog: Catalog, service: Service) -> set[int]:
    selected = catalog.labels.matching(service.metadata.namespace, service.spec.selector)
    return {workload.spec.weight for workload in selected}
