"""Documents of tenants: they may contain only what the Cluster's spec.tenants allows.

A document belongs to the tenant whose path contains its file; the longest matching path wins.
A document outside all tenant paths belongs to the cluster's operators and is not restricted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from groundplane.check.foreign_endpoints import node_addresses, slice_addresses
from groundplane.check.ranges import external_range_fault, host_fault
from groundplane.check.tenants import file_in_source
from groundplane.documents.catalog import CLUSTER_SCOPED, Catalog, Object, key_of
from groundplane.documents.external import fixed_load_balancer_ips, pinned_pool
from groundplane.documents.selector import LabelIndex
from groundplane.documents.service import Namespace, Service
from groundplane.documents.site import Cluster, Workload
from groundplane.documents.tenant import (
    Tenant,
    has_port,
    matches,
    ports_of,
    tenant_of,
    tenants_by_path,
)
from groundplane.errors import Fault, FieldFaults
from groundplane.net import address

_INSTEAD: Final = "groundplane/load-balancer-pool"


def check_tenant_documents(catalog: Catalog) -> Iterator[Fault]:
    """Yield an error for each thing that a document's tenant may not use, except endpoints."""
    hosts = LabelIndex(each for each in catalog.workloads.values() if each.spec.host_network)
    for tenant, document in _of_tenants(catalog):
        for path, message in _document(catalog, tenant, document, hosts):
            yield catalog.fault(key_of(document), path, message)


def check_tenant_endpoints(
    catalog: Catalog,
    bridges: Mapping[str, str],
    workloads: Mapping[tuple[str, str], Iterable[str]],
) -> Iterator[Fault]:
    """Yield an error for each endpoint that is neither a tenant's own workload nor in its ranges.

    Needs allocation: *bridges* maps a bridge's address to its node's name; *workloads* maps
    namespace and name to addresses. All addresses are canonical.
    """
    owners = {id(document): tenant for tenant, document in _of_tenants(catalog)}
    if not owners:
        return
    namespaces = {text: name[0] for name, found in workloads.items() for text in found}
    nodes = node_addresses(catalog) | {**bridges}
    for each, path, text in slice_addresses(catalog):
        mirror = catalog.mirrors.get(key_of(each))
        written = catalog.endpoints[each.metadata.namespace, mirror.name] if mirror else each
        tenant = owners.get(id(written))
        if tenant is None:
            continue
        namespace = namespaces.get(text)
        if namespace is not None and matches(namespace, tenant.namespaces):
            continue
        what = f"lead to {text}, which is not one of its workloads"
        if not _in_ranges(text, tenant.cidrs):
            yield catalog.fault(key_of(each), path, _refusal(tenant, what, "cidrs", tenant.cidrs))
        elif text in nodes:
            for port in each.ports:
                if port.port and not _has(tenant.host_ports, port.port):
                    what = f"lead to port {port.port} of Node/{nodes[text]}"
                    message = _refusal(tenant, what, "hostPorts", tenant.host_ports)
                    yield catalog.fault(key_of(each), path, message)


def _of_tenants(catalog: Catalog) -> Iterator[tuple[Tenant, Object]]:
    """Yield each document in a tenant's path, with the tenant."""
    tenants = tenants_by_path(catalog.cluster.spec.tenants)
    if not tenants:
        return
    owners: dict[str, Tenant | None] = {}  # by file
    for document in catalog.written():
        file = catalog.origins[key_of(document)].file
        if file not in owners:
            owners[file] = tenant_of(file_in_source(catalog, file), tenants)
        tenant = owners[file]
        if tenant and not isinstance(document, Cluster):
            yield tenant, document


def _document(catalog: Catalog, tenant: Tenant, document: Object, hosts: LabelIndex) -> FieldFaults:
    if document.kind not in tenant.kinds:
        yield "kind", _refusal(tenant, f"have a {document.kind}", "kinds", tenant.kinds)
    namespace = document.metadata.namespace
    if isinstance(document, Namespace):
        namespace = document.metadata.name
    elif document.kind in CLUSTER_SCOPED:
        return
    if not matches(namespace, tenant.namespaces):
        what = f'use the namespace "{namespace}"'
        path = "metadata.name" if isinstance(document, Namespace) else "metadata.namespace"
        yield path, _refusal(tenant, what, "namespaces", tenant.namespaces)
    if isinstance(document, Service):
        yield from _service(catalog, tenant, document)
        yield from _host_targets(tenant, document, hosts)
    elif isinstance(document, Workload):
        yield from _workload(tenant, document)


def _service(catalog: Catalog, tenant: Tenant, service: Service) -> FieldFaults:
    spec = service.spec
    name = (spec.external_name or "").removesuffix(".")
    if service.external and not matches(name, tenant.external_names):
        what = f"be an alias of {name}"
        yield "spec.externalName", _refusal(tenant, what, "externalNames", tenant.external_names)
    listed = [
        *(("spec.clusterIP", text) for text in service.explicit_cluster_ips),
        *((f"spec.externalIPs[{index}]", text) for index, text in enumerate(spec.external_ips)),
    ]
    for path, text in listed:
        if host_fault(text) is None and not _in_ranges(text, tenant.cidrs):
            yield path, _refusal(tenant, f"fix the address {text}", "cidrs", tenant.cidrs)
    if service.ours_to_balance:
        yield from _load_balancer(catalog, tenant, service)
    if service.has_node_ports:
        yield from _node_ports(catalog, tenant, service)


def _load_balancer(catalog: Catalog, tenant: Tenant, service: Service) -> FieldFaults:
    pools = catalog.cluster.spec.load_balancer_pools
    granted = tenant.load_balancer_pools
    ranges = [cidr for pool in pools if pool.name in granted for cidr in pool.cidrs]
    fixed = fixed_load_balancer_ips(service)
    for path, text in fixed:
        if host_fault(text) is None and not _in_ranges(text, (*ranges, *tenant.cidrs)):
            what = f"fix the address {text}"
            yield path, _refusal(tenant, what, "loadBalancerPools", granted)
    pool = pinned_pool(service)
    if pool is not None and pool not in granted:
        what = f'take an address of the pool "{pool}"'
        yield "metadata.annotations", _refusal(tenant, what, "loadBalancerPools", granted)
    elif pool is None and not fixed and not {each.name for each in pools} <= {*granted}:
        what = f"take an address of any pool: the annotation {_INSTEAD} names one"
        yield "spec.type", _refusal(tenant, what, "loadBalancerPools", granted)


def _node_ports(catalog: Catalog, tenant: Tenant, service: Service) -> FieldFaults:
    """Yield the node ports that the tenant may not use; an unfixed port may become any port."""
    spec, granted = service.spec, tenant.node_ports
    listed = [
        (f"spec.ports[{index}].nodePort", each.node_port) for index, each in enumerate(spec.ports)
    ]
    if service.ours_to_balance and spec.external_traffic_policy == "Local":
        listed.append(("spec.healthCheckNodePort", spec.health_check_node_port))
    for path, port in listed:
        if port and not _has(granted, port):
            yield path, _refusal(tenant, f"have the node port {port}", "nodePorts", granted)
        elif not port and not _has_all(granted, catalog.cluster.spec.node_port_range):
            what = "have any node port: fix one"
            if spec.type == "LoadBalancer" and path != "spec.healthCheckNodePort":
                what += ", or write allocateLoadBalancerNodePorts: false"
            yield path, _refusal(tenant, what, "nodePorts", granted)


def _host_targets(tenant: Tenant, service: Service, hosts: LabelIndex) -> FieldFaults:
    """Yield target ports on the host: a workload of the service uses its node's addresses."""
    if not hosts.matching(service.metadata.namespace, service.spec.selector):
        return
    for index, port in enumerate(service.spec.ports):
        if isinstance(port.target, int) and not _has(tenant.host_ports, port.target):
            what = f"lead to port {port.target} of nodes"
            path = f"spec.ports[{index}].targetPort"
            yield path, _refusal(tenant, what, "hostPorts", tenant.host_ports)


def _workload(tenant: Tenant, workload: Workload) -> FieldFaults:
    spec, granted = workload.spec, tenant.host_ports
    if not matches(spec.node, tenant.nodes):
        yield "spec.node", _refusal(tenant, f"use Node/{spec.node}", "nodes", tenant.nodes)
    for index, text in enumerate(spec.addresses):
        if host_fault(text) is None and not _in_ranges(text, tenant.cidrs):
            what = f"fix the address {text}"
            yield f"spec.addresses[{index}]", _refusal(tenant, what, "cidrs", tenant.cidrs)
    if spec.host_network:
        if not granted:
            yield "spec.hostNetwork", _refusal(tenant, "use nodes' network", "hostPorts", granted)
        for index, port in enumerate(spec.ports):
            if not _has(granted, port.port):
                what = f"open port {port.port} of nodes"
                yield f"spec.ports[{index}].port", _refusal(tenant, what, "hostPorts", granted)
    yield from _probe(tenant, workload)


def _probe(tenant: Tenant, workload: Workload) -> FieldFaults:
    probe, path = workload.spec.readiness_probe, "spec.readinessProbe"
    if probe is None:
        return
    if probe.exec and not tenant.exec_probes:
        yield f"{path}.exec", _refusal(tenant, "run commands on nodes", "execProbes", ("false",))
    for name, handler in (("httpGet", probe.http_get), ("tcpSocket", probe.tcp_socket)):
        host = handler.host if handler else None
        if host and host_fault(host) is None and not _in_ranges(host, tenant.cidrs):
            what = f"have nodes ask {host}"
            yield f"{path}.{name}.host", _refusal(tenant, what, "cidrs", tenant.cidrs)
    asked = probe.http_get or probe.tcp_socket or probe.grpc
    port = asked.port if asked and isinstance(asked.port, int) else 0
    if workload.spec.host_network and port and not _has(tenant.host_ports, port):
        what = f"have nodes ask port {port} of a node"
        yield path, _refusal(tenant, what, "hostPorts", tenant.host_ports)


def _refusal(tenant: Tenant, what: str, field: str, granted: Sequence[object]) -> str:
    has = ", ".join(map(str, granted)) or "none"
    return f'tenant "{tenant.name}" may not {what}; its {field}: {has}'


def _in_ranges(text: str, ranges: Iterable[str]) -> bool:
    return any(
        address.contains(cidr, text) for cidr in ranges if external_range_fault(cidr) is None
    )


def _has(granted: Iterable[int | str], port: int) -> bool:
    try:
        return has_port(granted, port)
    except ValueError:  # reported as an error of the Cluster
        return True


def _has_all(granted: Sequence[int | str], node_ports: str) -> bool:
    """Return whether every port of the range *node_ports* is granted."""
    try:
        (wanted,), listed = ports_of([node_ports]), sorted(ports_of(granted))
    except ValueError:  # reported as an error of the Cluster
        return True
    first = wanted[0]
    for start, end in listed:
        if start <= first <= end:
            first = end + 1
    return first > wanted[1]
