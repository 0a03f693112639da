"""Ports open on every node: node ports and health-check ports, both from one range.

A number belongs to one service. Ports of a service with the same number and different protocols
share one node port, as in Kubernetes (initNodePorts, pkg/registry/core/service/storage/alloc.go).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from groundplane.allocate.addresses import Name
from groundplane.allocate.pool import Pool, band_of_ports
from groundplane.allocate.requests import AddressRequest, AllocationContext
from groundplane.documents.catalog import DocumentKey, key_of
from groundplane.documents.service import Service, ServicePort
from groundplane.net.ports import port_range


class _PortAsk(NamedTuple):
    """A request for a port. Requests of one *holder* for the same *port* may share a number."""

    ask: AddressRequest
    holder: str
    port: int  # of the service; 0: of its health check
    protocol: str


def ports(context: AllocationContext) -> tuple[dict[Name, tuple[int, ...]], dict[Name, int]]:
    """Return each service's node ports, one per port, and its health-check port; 0 for none."""
    services = context.catalog.services
    asks = [ask for service in services.values() for ask in _asks(context, service)]
    given = _serve(context, _pool(context), asks)
    node_ports = {
        name: tuple(given.get(node_port_key(name, port), 0) for port in service.spec.ports)
        if _on_nodes(service)
        else (0,) * len(service.spec.ports)
        for name, service in services.items()
    }
    return node_ports, {name: given.get(DocumentKey("HealthCheck", *name), 0) for name in services}


def _on_nodes(service: Service) -> bool:
    """Whether the service can have node ports."""
    return service.spec.type in ("NodePort", "LoadBalancer")


def node_port_key(name: Name, port: ServicePort) -> DocumentKey:
    """Return the lock's key for the node port of *port* of the service *name*."""
    return DocumentKey("NodePort", name[0], f"{name[1]}/{port.protocol}/{port.port}")


def _asks(context: AllocationContext, service: Service) -> Iterator[_PortAsk]:
    if not _on_nodes(service):
        return
    document = key_of(service)
    name = document.namespace, document.name
    for index, port in enumerate(service.spec.ports):
        # Fixed node ports are open even without allocateLoadBalancerNodePorts.
        if port.node_port or service.has_node_ports:
            path = f"spec.ports[{index}].nodePort"
            ask = _ask(context, node_port_key(name, port), document, port.node_port, path)
            yield _PortAsk(ask, str(document), port.port, port.protocol)
    if service.spec.type == "LoadBalancer" and service.spec.external_traffic_policy == "Local":
        fixed, path = service.spec.health_check_node_port, "spec.healthCheckNodePort"
        key = document._replace(kind="HealthCheck")
        ask = _ask(context, key, document, fixed, path)
        yield _PortAsk(ask, f"the health check of {document}", 0, "TCP")


def _ask(
    context: AllocationContext,
    key: DocumentKey,
    document: DocumentKey,
    fixed: int | None,
    path: str,
) -> AddressRequest:
    text = next(iter(context.lock.held.get(key, ())), "")
    held = int(text) if text else None
    return AddressRequest(key, document, fixed or None, held, str(fixed or text), path)


def _pool(context: AllocationContext) -> Pool:
    first, last = port_range(context.catalog.cluster.spec.node_port_range)
    name = f"the node port range {first}-{last}"
    pool = Pool(name, first, last, band=band_of_ports(last - first + 1))
    pool.released = {
        int(text): turn for text, turn in context.lock.released.items() if text.isdecimal()
    }
    # A node port with the port number of ssh would lock everyone out.
    for node in context.catalog.nodes.values():
        if (port := node.spec.management.port) in pool:
            pool.holders.setdefault(port, f"the management of {key_of(node)}")
    # A program on the host network would get the node port's connections, or lose its own.
    for workload in context.catalog.workloads.values():
        for each in workload.spec.ports if workload.spec.host_network else ():
            if each.port in pool:
                pool.holders.setdefault(each.port, f"{key_of(workload)} on the host's network")
    return pool


def _serve(
    context: AllocationContext, pool: Pool, asks: Iterable[_PortAsk]
) -> dict[DocumentKey, int]:
    given: dict[DocumentKey, int] = {}
    holders: dict[tuple[str, int], DocumentKey] = {}  # by protocol and number
    alike: dict[tuple[str, int], list[int]] = defaultdict(list)  # by holder and port of the service
    for ask, holder, port, protocol in sorted(asks, key=lambda each: each.ask.order):
        number = ask.wanted
        try:
            if number is None:
                shared = (n for n in alike[holder, port] if (protocol, n) not in holders)
                number = next(shared, None) or pool.pick(holder, str(ask.key))
            else:
                pool.take(number, holder)
            other = holders.setdefault((protocol, number), ask.key)
            if other != ask.key:
                raise ValueError(f"is taken by {other}")
        except ValueError as error:
            context.refused(ask, error)
            continue
        given[ask.key] = number
        alike[holder, port].append(number)
    return given
