"""`resolve`: selectors to endpoints, and endpoints to those that traffic goes to.

Matching (`compile_site`) depends on documents alone and is done once for each catalog; choosing
(`serving_endpoints`) depends on health too and is done again whenever that changes.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from groundplane.allocate import Allocations
from groundplane.check.slices import KUBERNETES, MANAGED_LABEL, SERVICE_LABEL
from groundplane.model import compiled
from groundplane.model.address import canonical, canonical_range, family_of
from groundplane.model.catalog import Catalog
from groundplane.model.families import families_of
from groundplane.model.selector import LabelIndex
from groundplane.model.service import EndpointSlice, Service, SliceEndpoint
from groundplane.model.site import Workload
from groundplane.pools import number_pools

Failing = AbstractSet[tuple[str, str]]  # namespace and name of each workload whose probe fails


def compile_site(catalog: Catalog, allocations: Allocations) -> compiled.Site:
    """Return *catalog* with its addresses filled in and its selectors matched."""
    spec = catalog.cluster.spec
    index = LabelIndex(catalog.workloads.values())
    slices = _slices_by_service(catalog)
    pools = number_pools(
        (*name, port.protocol, port.port)
        for name, service in catalog.services.items()
        if allocations.cluster_ips[name]
        for port in service.spec.ports
    )
    nodes = {
        name: compiled.Node(
            name,
            _ordered(node.spec.addresses, spec.service_cidrs),
            allocations.subnets[name],
        )
        for name, node in sorted(catalog.nodes.items())
    }
    places = {
        name: allocations.workloads[name] or nodes[workload.spec.node].addresses
        for name, workload in catalog.workloads.items()
    }
    services = tuple(
        compiled.Service(
            namespace=name[0],
            name=name[1],
            families=families_of(service, catalog.cluster),
            cluster_ips=allocations.cluster_ips[name],
            ports=tuple(
                compiled.Port(p.name, p.protocol, p.port, pools.get((*name, p.protocol, p.port), 0))
                for p in service.spec.ports
            ),
            endpoints=tuple(_endpoints(service, index, places, slices.get(name, ()))),
            publish_not_ready=service.spec.publish_not_ready_addresses,
        )
        for name, service in sorted(catalog.services.items())
    )
    return compiled.Site(
        format=compiled.FORMAT,
        domain=spec.cluster_domain.removesuffix("."),
        service_cidrs=tuple(map(canonical_range, spec.service_cidrs)),
        workload_cidrs=tuple(canonical_range(each.cidr) for each in spec.workload_cidrs),
        non_masquerade_cidrs=tuple(map(canonical_range, spec.non_masquerade_cidrs)),
        egress_masquerade=spec.egress_masquerade,
        forwarders=tuple(map(canonical, spec.dns.forwarders)),
        nodes=tuple(nodes.values()),
        workloads=tuple(
            compiled.Workload(*name, catalog.workloads[name].spec.node, allocations.workloads[name])
            for name in sorted(catalog.workloads)
            if allocations.workloads[name]
        ),
        services=services,
        slots=sum(max(len(each.endpoints), 1) * len(each.ports) for each in services),
    )


def serving_endpoints(service: compiled.Service, failing: Failing) -> Sequence[compiled.Endpoint]:
    """Return the endpoints that traffic to *service* goes to.

    Ready ones; if there is none, those that are serving and terminating (KEP-1669). With
    publishNotReadyAddresses all count as ready.
    """
    if service.publish_not_ready:
        return service.endpoints
    passing: Sequence[compiled.Endpoint] = service.endpoints
    if failing:
        namespace = service.namespace
        passing = [each for each in passing if (namespace, each.workload) not in failing]
    ready = [each for each in passing if each.ready and not each.terminating]
    return ready or [each for each in passing if each.serving and each.terminating]


def _ordered(addresses: Sequence[str], cidrs: Sequence[str]) -> tuple[str, ...]:
    """Return *addresses* with the primary family first, in canonical text."""
    order = [family_of(cidr) for cidr in cidrs]
    known = [canonical(text) for text in addresses if family_of(text) in order]
    return tuple(sorted(known, key=lambda text: order.index(family_of(text))))


def _slices_by_service(catalog: Catalog) -> dict[tuple[str, str], list[EndpointSlice]]:
    found: dict[tuple[str, str], list[EndpointSlice]] = defaultdict(list)
    for name in sorted(catalog.slices):
        each = catalog.slices[name]
        found[name[0], each.metadata.labels[SERVICE_LABEL]].append(each)
    return found


def _endpoints(
    service: Service,
    index: LabelIndex,
    places: dict[tuple[str, str], tuple[str, ...]],
    slices: Sequence[EndpointSlice],
) -> Iterator[compiled.Endpoint]:
    """Yield the endpoints of *service*: its workloads by name, then those of its slices."""
    namespace = service.metadata.namespace
    matching = index.matching(namespace, service.spec.selector)
    seen: set[tuple[str, tuple[int, ...]]] = set()
    for workload in sorted(matching, key=lambda each: each.metadata.name):
        if workload.spec.state != "off":
            own = _of_workload(service, workload, places[namespace, workload.metadata.name])
            seen |= {(own.ipv4, own.targets), (own.ipv6, own.targets)}
            yield own
    for each in slices:
        managed = each.metadata.labels.get(MANAGED_LABEL) == KUBERNETES
        if managed and matching:
            continue
        for endpoint in each.endpoints:
            made = _of_slice(service, each, endpoint)
            identity = (made.ipv4 or made.ipv6, made.targets)
            if identity not in seen:
                seen.add(identity)
                yield made


def _of_workload(
    service: Service, workload: Workload, addresses: tuple[str, ...]
) -> compiled.Endpoint:
    by_family = {family_of(text): text for text in addresses}
    draining = workload.spec.state == "drain"
    return compiled.Endpoint(
        workload=workload.metadata.name,
        node=workload.spec.node,
        hostname=workload.spec.hostname or "",
        ipv4=by_family.get("IPv4", ""),
        ipv6=by_family.get("IPv6", ""),
        targets=tuple(_target(port.target, port.protocol, workload) for port in service.spec.ports),
        ready=not draining,
        terminating=draining,
    )


def _target(target: int | str, protocol: str, workload: Workload) -> int:
    if isinstance(target, int):
        return target
    for port in workload.spec.ports:
        if port.name == target and port.protocol == protocol:
            return port.port
    return 0


def _of_slice(service: Service, each: EndpointSlice, endpoint: SliceEndpoint) -> compiled.Endpoint:
    ports = {(port.name or "", port.protocol): port.port or 0 for port in each.ports}
    conditions = endpoint.conditions
    first = canonical(endpoint.addresses[0])
    terminating = conditions.terminating is True
    return compiled.Endpoint(
        workload="",
        node=endpoint.node_name or "",
        hostname=endpoint.hostname or "",
        ipv4=first if each.address_type == "IPv4" else "",
        ipv6=first if each.address_type == "IPv6" else "",
        targets=tuple(ports.get((port.name, port.protocol), 0) for port in service.spec.ports),
        ready=conditions.ready is not False,
        serving=conditions.serving is not False,
        terminating=terminating,
    )
