"""Services: the rules of pkg/apis/core/validation for what this version supports."""

from collections.abc import Iterator
from typing import Final

from groundplane.check import names
from groundplane.check.metadata import check_labels, check_metadata
from groundplane.errors import Fault
from groundplane.model import address
from groundplane.model.catalog import Catalog, Key, key_of
from groundplane.model.families import FamilyError, families_of
from groundplane.model.limits import MAX_ENDPOINTS
from groundplane.model.selector import LabelIndex
from groundplane.model.service import Service, ServicePort

_MAX_NAME: Final = 253
_DASHED_IPV6: Final = "-".join(["ffff"] * 8)


def check_services(catalog: Catalog) -> Iterator[Fault]:
    """Yield the faults of every Service."""
    index = LabelIndex(catalog.workloads.values())
    for service in catalog.services.values():
        key = key_of(service)
        yield from check_metadata(catalog, service)
        yield from check_labels(catalog, key, "spec.selector", service.spec.selector)
        for path, message in (*_unsupported(service), *_misplaced(service)):
            yield catalog.fault(key, path, message)
        yield from _cluster_ips(catalog, key, service)
        yield from _ports(catalog, key, service)
        yield from _targets(catalog, key, service, index)
        yield from _longest_name(catalog, key, service, index)


def _unsupported(service: Service) -> Iterator[tuple[str, str]]:
    """Yield what this version cannot do: said, never passed over in silence."""
    spec, later = service.spec, "not supported by this version"
    for path, wanted, message in (
        ("spec.type", spec.type != "ClusterIP", f"{spec.type} is {later}"),
        (
            "spec.sessionAffinity",
            spec.session_affinity != "None",
            f"session affinity is {later}",
        ),
        ("spec.externalIPs", spec.external_ips, f"external IPs are {later}"),
        (
            "spec.internalTrafficPolicy",
            spec.internal_traffic_policy == "Local",
            f"Local is {later}",
        ),
        ("spec.trafficDistribution", spec.traffic_distribution, f"it is {later}"),
    ):
        if wanted:
            yield path, message
    for index, port in enumerate(spec.ports):
        if port.protocol == "SCTP":
            yield f"spec.ports[{index}].protocol", f"SCTP is {later}"


def _misplaced(service: Service) -> Iterator[tuple[str, str]]:
    """Yield fields that a service of this type does not have."""
    spec = service.spec
    if spec.session_affinity == "None" and spec.session_affinity_config is not None:
        yield "spec.sessionAffinityConfig", "it needs sessionAffinity ClientIP"
    if spec.type != "ClusterIP":
        return
    none = f"a service of type {spec.type} has none"
    for field, value in (
        ("externalTrafficPolicy", spec.external_traffic_policy),
        ("healthCheckNodePort", spec.health_check_node_port),
        ("loadBalancerIP", spec.load_balancer_ip),
        ("loadBalancerClass", spec.load_balancer_class),
        ("loadBalancerSourceRanges", spec.load_balancer_source_ranges),
        ("externalName", spec.external_name),
    ):
        if value:
            yield f"spec.{field}", none
    for index, port in enumerate(spec.ports):
        if port.node_port:
            yield f"spec.ports[{index}].nodePort", none


def _cluster_ips(catalog: Catalog, key: Key, service: Service) -> Iterator[Fault]:
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


def _ports(catalog: Catalog, key: Key, service: Service) -> Iterator[Fault]:
    ports = service.spec.ports
    if not ports and not service.headless and service.spec.type != "ExternalName":
        yield catalog.fault(key, "spec.ports", "at least one port is needed")
    seen: set[tuple[str, int]] = set()
    named: set[str] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        for where, fault in _port(port, alone=len(ports) == 1):
            yield catalog.fault(key, f"{path}.{where}", fault)
        if port.name and port.name in named:
            yield catalog.fault(key, f"{path}.name", f'a second port named "{port.name}"')
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


def _targets(catalog: Catalog, key: Key, service: Service, index: LabelIndex) -> Iterator[Fault]:
    """Yield a fault for too many endpoints, and for each named target port that none of them has."""
    workloads = index.matching(service.metadata.namespace, service.spec.selector)
    if len(workloads) > MAX_ENDPOINTS:
        message = f"it selects {len(workloads)} workloads; a service has at most {MAX_ENDPOINTS}"
        yield catalog.fault(key, "spec.selector", message)
    if not workloads:
        return
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


def _longest_name(
    catalog: Catalog, key: Key, service: Service, index: LabelIndex
) -> Iterator[Fault]:
    """Yield a fault where a DNS name of the service would be too long (RFC 1035: 255 octets)."""
    name = f"{key.name}.{key.namespace}.svc.{catalog.cluster.spec.cluster_domain.removesuffix('.')}"
    labels = [f"_{port.name}._{port.protocol.lower()}" for port in service.spec.ports if port.name]
    if service.headless:
        labels.append(_DASHED_IPV6)
        labels += [
            workload.spec.hostname
            for workload in index.matching(key.namespace, service.spec.selector)
            if workload.spec.hostname
        ]
    longest = max((f"{label}.{name}" for label in labels), key=len, default=name)
    if len(longest) > _MAX_NAME:
        message = f"its name {longest} has {len(longest)} characters; DNS has at most {_MAX_NAME}"
        yield catalog.fault(key, "metadata.name", message)
