"""Allowed and forbidden fields of each service type (ValidateService)."""

from collections.abc import Iterator

from groundplane.check.ranges import range_fault
from groundplane.documents.external import source_ranges
from groundplane.documents.service import Service
from groundplane.net import names


def check_type(service: Service) -> Iterator[tuple[str, str]]:
    """Yield path and error of each field that the service's type does not allow."""
    spec = service.spec
    yield from _load_balancer(service)
    yield from _affinity(service)
    if spec.type in ("ClusterIP", "ExternalName"):
        yield from _not_on_nodes(service)
    elif service.headless:
        path = "spec.clusterIP" if spec.cluster_ip else "spec.clusterIPs"
        yield path, f"a service of type {spec.type} is never headless"
    if service.external:
        yield from _external(service)


def _not_on_nodes(service: Service) -> Iterator[tuple[str, str]]:
    """Yield the errors of a service without node ports."""
    spec = service.spec
    for index, port in enumerate(spec.ports):
        if port.node_port:
            yield f"spec.ports[{index}].nodePort", f"a service of type {spec.type} has none"
    if spec.external_traffic_policy and (service.external or not spec.external_ips):
        message = "it needs type NodePort or LoadBalancer, or externalIPs"
        yield "spec.externalTrafficPolicy", message
    if service.headless and spec.external_ips and not service.external:
        yield "spec.externalIPs", "a headless service has none: it is reached at its endpoints"


def _affinity(service: Service) -> Iterator[tuple[str, str]]:
    """Yield the errors in sessionAffinityConfig."""
    config = service.spec.session_affinity_config
    if config is None:
        return
    if service.spec.session_affinity == "None":
        yield "spec.sessionAffinityConfig", "it needs sessionAffinity ClientIP"
    elif config.client_ip and not 1 <= config.client_ip.timeout_seconds <= 86400:
        path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        yield path, f"{config.client_ip.timeout_seconds} is not a timeout: 1 to 86400 seconds"


def _load_balancer(service: Service) -> Iterator[tuple[str, str]]:
    """Yield the errors in fields that only load balancers have."""
    spec = service.spec
    balanced = spec.type == "LoadBalancer"
    if not balanced:
        for field, value in (
            ("allocateLoadBalancerNodePorts", spec.allocate_load_balancer_node_ports),
            ("loadBalancerClass", spec.load_balancer_class),
            ("loadBalancerIP", spec.load_balancer_ip or None),
            ("loadBalancerSourceRanges", spec.load_balancer_source_ranges or None),
        ):
            if value is not None:
                yield f"spec.{field}", f"a service of type {spec.type} has none"
    elif spec.load_balancer_class is not None and names.label_key(spec.load_balancer_class):
        message = f'"{spec.load_balancer_class}" is not a class: a name like example.com/vip'
        yield "spec.loadBalancerClass", message
    if spec.health_check_node_port and not (balanced and spec.external_traffic_policy == "Local"):
        message = "it needs type LoadBalancer and externalTrafficPolicy Local"
        yield "spec.healthCheckNodePort", message
    for path, cidr in source_ranges(service) if balanced else ():
        if fault := range_fault(cidr):
            yield path, fault


def _external(service: Service) -> Iterator[tuple[str, str]]:
    """Yield the errors of an ExternalName, which may have only a name."""
    spec = service.spec
    if not (spec.external_name or "").removesuffix("."):
        yield "spec.externalName", "a service of type ExternalName needs one"
    elif fault := names.domain(spec.external_name or ""):
        yield "spec.externalName", fault
    for field, value in (
        ("clusterIP", spec.cluster_ip),
        ("clusterIPs", spec.cluster_ips),
        ("ipFamilies", spec.ip_families),
        ("ipFamilyPolicy", spec.ip_family_policy),
        ("externalIPs", spec.external_ips),
    ):
        if value:
            yield f"spec.{field}", "a service of type ExternalName has none"
