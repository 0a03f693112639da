"""How a service is shown: the cells of a table, the rows of a description, and its document."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from groundplane.documents.external import fixed_load_balancer_ips, source_ranges
from groundplane.documents.service import Service
from groundplane.proxies import proxies
from groundplane.site import compiled

UNHEARD: Final = " (not announced)"  # no router learns a load balancer's own address


def service_document(document: Service, service: compiled.Service) -> dict[str, Any]:
    """Return the Service as a cluster would show it, with its addresses and ports filled in."""
    shown: dict[str, Any] = msgspec.to_builtins(document)
    shown.pop("status", None)  # it is the status in another cluster
    spec = shown.setdefault("spec", {})
    spec["type"] = document.spec.type
    if service.cluster_ips:
        spec |= {"clusterIP": service.cluster_ips[0], "clusterIPs": list(service.cluster_ips)}
    if service.families:
        spec["ipFamilies"] = list(service.families)
    if service.health_check_port:
        spec["healthCheckNodePort"] = service.health_check_port
    for port, listed in zip(document.spec.ports, spec.get("ports", ()), strict=True):
        listed |= {"protocol": port.protocol, "targetPort": port.target}
    for given, listed in zip(service.ports, spec.get("ports", ()), strict=False):
        if given.node_port:
            listed["nodePort"] = given.node_port
    shown["metadata"]["namespace"] = service.namespace
    if document.spec.type == "LoadBalancer":
        ingress = [{"ip": text} for text in service.load_balancer_ips]
        shown["status"] = {"loadBalancer": {"ingress": ingress} if ingress else {}}
    return shown


def cluster_ip_text(service: compiled.Service) -> str:
    return ",".join(service.cluster_ips) or ("<none>" if service.external_name else "None")


def external_text(document: Service, service: compiled.Service) -> str:
    """Return the external addresses or name of the service, as kubectl's EXTERNAL-IP."""
    if document.external:
        return document.spec.external_name or ""
    own = [f"{text}{UNHEARD}" for text in service.load_balancer_ips]
    none = "<pending>" if document.spec.type == "LoadBalancer" else "<none>"
    return ",".join([*own, *service.external_ips]) or none


def ports_text(document: Service, service: compiled.Service) -> str:
    """Return the ports as kubectl's PORT(S), each with its node port: 80:30080/TCP."""
    node_ports = [port.node_port for port in service.ports] or [0] * len(document.spec.ports)
    pieces = [
        f"{port.port}:{number}/{port.protocol}" if number else f"{port.port}/{port.protocol}"
        for port, number in zip(document.spec.ports, node_ports, strict=True)
    ]
    return ",".join(pieces) or "<none>"


def described(document: Service, service: compiled.Service) -> Iterator[tuple[str, str]]:
    """Yield heading and text of addresses, ports and traffic, as `kubectl describe` has them."""
    spec = document.spec
    yield "Type", spec.type
    yield "IP Families", ",".join(service.families) or "<none>"
    yield "IPs", cluster_ip_text(service)
    if service.external_ips:
        yield "External IPs", ",".join(service.external_ips)
    if spec.type == "LoadBalancer" and (fixed := fixed_load_balancer_ips(document)):
        yield "Desired LoadBalancer IP", ",".join(text for _, text in fixed)
    if document.external:
        yield "External Name", spec.external_name or ""
    if spec.type == "LoadBalancer":
        own = ", ".join(f"{text}{UNHEARD}" for text in service.load_balancer_ips)
        yield "LoadBalancer Ingress", own or "<pending>"
    yield from _ports(document, service)
    yield from _traffic(document, service)


def _ports(document: Service, service: compiled.Service) -> Iterator[tuple[str, str]]:
    node_ports = [port.node_port for port in service.ports] or [0] * len(document.spec.ports)
    for port, number in zip(document.spec.ports, node_ports, strict=True):
        name = port.name or "<unset>"
        yield "Port", f"{name}  {port.port}/{port.protocol}"
        yield "TargetPort", f"{port.target}/{port.protocol}"
        if number:
            yield "NodePort", f"{name}  {number}/{port.protocol}"


def _traffic(document: Service, service: compiled.Service) -> Iterator[tuple[str, str]]:
    spec = document.spec
    if document.external:
        return
    seconds = f" ({service.affinity_seconds} s)" if service.affinity_seconds else ""
    yield "Session Affinity", f"{spec.session_affinity}{seconds}"
    if service.consistent_hash:
        yield "Load Balancing", "consistent-hash"
    if spec.type in ("NodePort", "LoadBalancer") or service.external_ips:
        yield "External Traffic Policy", spec.external_traffic_policy or "Cluster"
    yield "Internal Traffic Policy", spec.internal_traffic_policy or "Cluster"
    if spec.traffic_distribution:
        yield "Traffic Distribution", spec.traffic_distribution
    if service.health_check_port:
        yield "HealthCheck NodePort", str(service.health_check_port)
    if ranges := [text for _, text in source_ranges(document)]:
        yield "LoadBalancer Source Ranges", ",".join(ranges)


def rows_of_modes(site: compiled.Site, service: compiled.Service) -> Iterator[tuple[str, str]]:
    """Yield how each proxy mode in use handles *service*, and on which nodes."""
    for each in proxies():
        nodes = [node.name for node in site.nodes if node.proxy_mode == each.name]
        if nodes:
            where = "" if len(nodes) == len(site.nodes) else f" (on {', '.join(nodes)})"
            yield from each.describe(site, service, where)
