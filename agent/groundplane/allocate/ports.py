"""Ports that are open on every node: node ports and those of health checks, of one range.

A number is one service's. Its ports of the same number on several protocols share one node port,
as they do in Kubernetes (initNodePorts, pkg/registry/core/service/storage/alloc.go).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from groundplane.allocate.addresses import Name
from groundplane.allocate.asks import Ask, Round
from groundplane.allocate.pool import Pool, band_of_ports
from groundplane.documents.catalog import Key, key_of
from groundplane.documents.service import Service, ServicePort
from groundplane.net.ports import port_range


class _PortAsk(NamedTuple):
    """An ask for a port. Asks of one *holder* for one *port* of it may share a number."""

    ask: Ask
    holder: str
    port: int  # of the service; 0: of its health check
    protocol: str


def ports(work: Round) -> tuple[dict[Name, tuple[int, ...]], dict[Name, int]]:
    """Return the node port of each port of each service and its health check's; 0 for none."""
    services = work.catalog.services
    asks = [ask for service in services.values() for ask in _asks(work, service)]
    given = _serve(work, _pool(work), asks)
    node_ports = {
        name: tuple(given.get(node_port_key(name, port), 0) for port in service.spec.ports)
        if _on_nodes(service)
        else (0,) * len(service.spec.ports)
        for name, service in services.items()
    }
    return node_ports, {name: given.get(Key("HealthCheck", *name), 0) for name in services}


def _on_nodes(service: Service) -> bool:
    """Whether the service can have node ports."""
    return service.spec.type in ("NodePort", "LoadBalancer")


def node_port_key(name: Name, port: ServicePort) -> Key:
    """Return the key that the lock has for the node port of *port* of the service *name*."""
    return Key("NodePort", name[0], f"{name[1]}/{port.protocol}/{port.port}")


def _asks(work: Round, service: Service) -> Iterator[_PortAsk]:
    if not _on_nodes(service):
        return
    document = key_of(service)
    name = document.namespace, document.name
    for index, port in enumerate(service.spec.ports):
        # Without allocateLoadBalancerNodePorts, those that are fixed are open all the same.
        if port.node_port or service.has_node_ports:
            path = f"spec.ports[{index}].nodePort"
            ask = _ask(work, node_port_key(name, port), document, port.node_port, path)
            yield _PortAsk(ask, str(document), port.port, port.protocol)
    if service.spec.type == "LoadBalancer" and service.spec.external_traffic_policy == "Local":
        fixed, path = service.spec.health_check_node_port, "spec.healthCheckNodePort"
        key = document._replace(kind="HealthCheck")
        ask = _ask(work, key, document, fixed, path)
        yield _PortAsk(ask, f"the health check of {document}", 0, "TCP")


def _ask(work: Round, key: Key, document: Key, fixed: int | None, path: str) -> Ask:
    text = next(iter(work.lock.held.get(key, ())), "")
    held = int(text) if text else None
    return Ask(key, document, fixed or None, held, str(fixed or text), path)


def _pool(work: Round) -> Pool:
    first, last = port_range(work.catalog.cluster.spec.node_port_range)
    name = f"the node port range {first}-{last}"
    pool = Pool(name, first, last, band=band_of_ports(last - first + 1))
    pool.released = {
        int(text): turn for text, turn in work.lock.released.items() if text.isdecimal()
    }
    # A node port with the number that ssh has would lock everyone out.
    for node in work.catalog.nodes.values():
        if (port := node.spec.management.port) in pool:
            pool.holders.setdefault(port, f"the management of {key_of(node)}")
    # What listens on the host's network would get the connections of the node port, or lose its own.
    for workload in work.catalog.workloads.values():
        for each in workload.spec.ports if workload.spec.host_network else ():
            if each.port in pool:
                pool.holders.setdefault(each.port, f"{key_of(workload)} on the host's network")
    return pool


def _serve(work: Round, pool: Pool, asks: Iterable[_PortAsk]) -> dict[Key, int]:
    given: dict[Key, int] = {}
    holders: dict[tuple[str, int], Key] = {}  # by protocol and number
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
            work.refused(ask, error)
            continue
        given[ask.key] = number
        alike[holder, port].append(number)
    return given
