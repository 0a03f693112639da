"""What the services of a site ask of every node beyond cluster addresses. Pure."""

from collections.abc import Iterable

from groundplane.doctor.facts import Exposed
from groundplane.model.compiled import Service


def exposed(services: Iterable[Service]) -> Exposed:
    """Return what *services* expose, each once and in order."""
    addresses: set[str] = set()
    node_ports: set[tuple[str, int]] = set()
    health_checks: set[int] = set()
    for service in services:
        addresses.update(service.external_ips, service.load_balancer_ips)
        node_ports.update(
            (port.protocol, port.node_port) for port in service.ports if port.node_port
        )
        if service.health_check_port:
            health_checks.add(service.health_check_port)
    return Exposed(
        tuple(sorted(addresses)), tuple(sorted(node_ports)), tuple(sorted(health_checks))
    )
