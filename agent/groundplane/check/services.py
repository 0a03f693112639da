"""Services: the rules of pkg/apis/core/validation (ValidateService)."""

from collections.abc import Iterator

from groundplane.check.aliases import check_aliases
from groundplane.check.annotations import check_annotations
from groundplane.check.dns_names import check_dns_names
from groundplane.check.endpoints import check_endpoints, check_timeouts, slices_by_service
from groundplane.check.external import check_external
from groundplane.check.forwarding import check_forwarding
from groundplane.check.metadata import check_labels, check_metadata
from groundplane.check.pins import check_pins
from groundplane.check.service_types import check_type
from groundplane.documents import dns
from groundplane.documents.catalog import Catalog, DocumentKey, key_of
from groundplane.documents.families import FamilyError, families_of
from groundplane.documents.service import Service, ServicePort
from groundplane.errors import Fault
from groundplane.hint import Work
from groundplane.net import address, names
from groundplane.net.ports import port_range


def check_services(catalog: Catalog) -> Iterator[Fault]:
    """Yield the errors of every Service."""
    index, slices = catalog.labels, slices_by_service(catalog)
    node_ports, work = _node_ports(catalog), Work()
    for service in catalog.services.values():
        key = key_of(service)
        yield from check_metadata(catalog, service)
        yield from check_labels(catalog, key, "spec.selector", service.spec.selector)
        for path, message in (
            *check_type(service),
            *check_annotations(service, work),
            *check_pins(catalog, service, work),
        ):
            yield catalog.fault(key, path, message)
        yield from _ports(catalog, key, service)
        if node_ports:
            yield from _on_nodes(catalog, key, service, node_ports)
        yield from _own_dns(catalog, key)
        if not service.external:
            yield from _cluster_ips(catalog, key, service)
            yield from check_endpoints(catalog, key, service, index, slices)
    yield from check_aliases(catalog)
    yield from check_dns_names(catalog, index, slices)
    yield from check_forwarding(catalog, index, slices)
    yield from check_external(catalog)
    yield from check_timeouts(catalog)


def _node_ports(catalog: Catalog) -> tuple[int, int] | None:
    try:
        return port_range(catalog.cluster.spec.node_port_range)
    except ValueError:
        return None  # reported as an error of the Cluster


def _own_dns(catalog: Catalog, key: DocumentKey) -> Iterator[Fault]:
    """Yield an error for a service with the name of the cluster's own DNS service."""
    if (key.namespace, key.name) == dns.NAME and catalog.cluster.spec.dns.cluster_ips != ():
        message = (
            "is the name of the site's own DNS service: delete this document, groundplane serves it; "
            "only to serve it yourself, set spec.dns.clusterIPs of the Cluster to []"
        )
        yield catalog.fault(key, "metadata.name", message)


def _cluster_ips(catalog: Catalog, key: DocumentKey, service: Service) -> Iterator[Fault]:
    spec = service.spec
    if spec.cluster_ip and spec.cluster_ips and spec.cluster_ip != spec.cluster_ips[0]:
        yield catalog.fault(key, "spec.clusterIPs[0]", "it must be the same as spec.clusterIP")
    if "None" in spec.cluster_ips and len(spec.cluster_ips) > 1:
        yield catalog.fault(key, "spec.clusterIPs", '"None" must be the only value')
        return
    if len(spec.cluster_ips) > 2:
        yield catalog.fault(key, "spec.clusterIPs", "at most two addresses, one per family")
        return
    listed = bool(spec.cluster_ips)
    bad = False
    for index, ip in enumerate(service.explicit_cluster_ips):
        path = f"spec.clusterIPs[{index}]" if listed else "spec.clusterIP"
        try:
            address.pack(ip)
        except ValueError as error:
            bad = True
            yield catalog.fault(key, path, str(error))
    if bad:
        return
    try:
        families = families_of(service, catalog.cluster)
    except FamilyError as error:
        yield catalog.fault(key, f"spec.{error.field}", str(error))
        return
    for index, ip in enumerate(service.explicit_cluster_ips):
        path = f"spec.clusterIPs[{index}]" if listed else "spec.clusterIP"
        if index >= len(families) or address.family_of(ip) != families[index]:
            wanted = f"an {families[index]}" if index < len(families) else "no further"
            message = f"{ip} is of the wrong family: {wanted} address is wanted here"
            yield catalog.fault(key, path, message)


def _ports(catalog: Catalog, key: DocumentKey, service: Service) -> Iterator[Fault]:
    ports = service.spec.ports
    if not ports and not service.headless and not service.external:
        yield catalog.fault(key, "spec.ports", "at least one port is needed")
    seen: set[tuple[str, int]] = set()
    named: set[str] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        for where, fault in _port(port, alone=len(ports) == 1):
            yield catalog.fault(key, f"{path}.{where}", fault)
        if port.name and port.name in named:
            yield catalog.fault(
                key, f"{path}.name", f'duplicate port name "{port.name}"; rename one'
            )
        if (port.protocol, port.port) in seen:
            message = f"a second port {port.port} of {port.protocol}"
            yield catalog.fault(key, f"{path}.port", message)
        named.add(port.name)
        seen.add((port.protocol, port.port))


def _port(port: ServicePort, *, alone: bool) -> Iterator[tuple[str, str]]:
    if fault := names.port_number(port.port):
        yield "port", fault
    if not port.name and not alone:
        yield "name", "a name is required where there is more than one port"
    if port.name and (fault := names.dns_label(port.name)):
        yield "name", fault
    target = port.target_port
    if target:
        fault = names.port_number(target) if isinstance(target, int) else names.port_name(target)
        if fault:
            yield "targetPort", fault


def _on_nodes(
    catalog: Catalog, key: DocumentKey, service: Service, node_ports: tuple[int, int]
) -> Iterator[Fault]:
    """Yield the errors in ports to open on every node."""
    spec, (first, last) = service.spec, node_ports
    wanted: list[tuple[str, int, str]] = [
        (f"spec.ports[{index}].nodePort", port.node_port, port.protocol)
        for index, port in enumerate(spec.ports)
        if port.node_port
    ]
    if spec.health_check_node_port:
        wanted.append(("spec.healthCheckNodePort", spec.health_check_node_port, ""))
    seen: set[tuple[int, str]] = set()
    for path, number, protocol in wanted:
        if not first <= number <= last:
            message = f"{number} is outside the node port range {first}-{last}"
            yield catalog.fault(key, path, message)
        if (number, protocol) in seen:
            yield catalog.fault(key, path, f"a second node port {number} of {protocol}")
        seen.add((number, protocol))
