"""The traffic that a site's services require of a node, besides cluster addresses. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from groundplane.diagnosis.facts import Exposed, HostPort
from groundplane.net.address import pack
from groundplane.site.compiled import Service


def exposed(services: Iterable[Service], here: Sequence[str]) -> Exposed:
    """Return what *services* require of the node with the addresses *here*, each once, in order."""
    addresses: set[str] = set()
    node_ports: set[tuple[str, int]] = set()
    health_checks: set[int] = set()
    host_ports: set[HostPort] = set()
    direct: set[str] = set()
    packed = frozenset(pack(each).hex() for each in here)
    for service in services:
        addresses.update(service.external_ips, service.load_balancer_ips)
        node_ports.update(
            (port.protocol, port.node_port) for port in service.ports if port.node_port
        )
        if service.health_check_port:
            health_checks.add(service.health_check_port)
        if service.forwarding == "direct":
            rows = service.endpoints.rows()
            direct.update(each for row in rows for each in (row.ipv4, row.ipv6) if each)
        columns = service.endpoints.ipv4, service.endpoints.ipv6
        # Rows are made for few: most services have no endpoint here.
        if any(each in column for each in packed for column in columns):
            host_ports.update(_host_ports(service, frozenset(here)))
    return Exposed(
        tuple(sorted(addresses)),
        tuple(sorted(node_ports)),
        tuple(sorted(health_checks)),
        tuple(sorted(host_ports)),
        tuple(sorted(direct)),
    )


def _host_ports(service: Service, here: frozenset[str]) -> Iterator[HostPort]:
    for endpoint in service.endpoints.rows():
        for address in here & {endpoint.ipv4, endpoint.ipv6}:
            for port, target in zip(service.ports, endpoint.targets, strict=True):
                if target:
                    yield HostPort(port.protocol, address, target)
