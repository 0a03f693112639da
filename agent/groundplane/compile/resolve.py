"""`resolve`: selectors to endpoints. The result depends only on documents: once for each catalog.

Which endpoints get traffic also depends on health: see `choose`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Final

import msgspec
from netaddr import cidr_merge

from groundplane.allocate import Allocations
from groundplane.compile.overlay import compile_overlay, uplink_mtu
from groundplane.compile.places import places
from groundplane.compile.port_ids import number_pools
from groundplane.compile.probed import compile_probes
from groundplane.documents import dns
from groundplane.documents.catalog import Catalog
from groundplane.documents.external import external_ranges, source_ranges
from groundplane.documents.families import families_of
from groundplane.documents.selector import LabelIndex
from groundplane.documents.service import (
    KUBERNETES,
    MANAGED_LABEL,
    SCHEDULER,
    SERVICE_LABEL,
    EndpointSlice,
    Service,
    SliceEndpoint,
)
from groundplane.documents.site import Dns, Node, Workload
from groundplane.net.address import bridge_address, canonical, canonical_range, family_of, prefixes
from groundplane.net.ports import port_range
from groundplane.net.protocols import Family
from groundplane.proxies import proxy_of
from groundplane.site import compiled
from groundplane.site.map_sizes import sizes


def compile_site(catalog: Catalog, allocations: Allocations) -> compiled.Site:
    """Return *catalog* with its addresses filled in and its selectors matched."""
    spec = catalog.cluster.spec
    nodes = _nodes(catalog, allocations)
    addresses = {
        name: allocations.workloads[name] or nodes[workload.spec.node].addresses
        for name, workload in catalog.workloads.items()
    }
    services = _services(catalog, allocations, addresses)
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
        external_cidrs=tuple(
            cidr for _, text in external_ranges(catalog.cluster) for cidr in prefixes(text)
        ),
        cluster_ips_from_outside=spec.cluster_ips_from_outside == "allow",
        node_ports=port_range(spec.node_port_range),
        affinity_timeouts=tuple(sorted({s.affinity_seconds for s in services} - {0})),
        sizes=sizes(services),
        change_limits=compiled.ChangeLimits(**msgspec.structs.asdict(spec.change_limits)),
        probes=compile_probes(catalog, addresses),
        stub_zones=_stub_zones(spec.dns),
        tls_server_name=(spec.dns.tls_server_name or "").removesuffix("."),
        dnssec=spec.dns.dnssec,
        overlay=compile_overlay(catalog),
        ipvs=compiled.Ipvs(spec.ipvs.scheduler, spec.ipvs.drain_seconds),
        places=tuple(places(catalog)),
    )


def _nodes(catalog: Catalog, allocations: Allocations) -> dict[str, compiled.Node]:
    """Return the nodes by name, in order."""
    spec = catalog.cluster.spec
    return {
        name: compiled.Node(
            name,
            _ordered(node.spec.addresses, spec.service_cidrs),
            allocations.subnets[name],
            node.zone,
            node.spec.segment,
            uplink_mtu(catalog, node),
            node.spec.wireguard.public_key if node.spec.wireguard else "",
            node.spec.proxy_mode or spec.proxy_mode,
            node.spec.state == "drain",
        )
        for name, node in sorted(catalog.nodes.items())
    }


def _services(
    catalog: Catalog,
    allocations: Allocations,
    addresses: Mapping[tuple[str, str], tuple[str, ...]],
) -> tuple[compiled.Service, ...]:
    """Return the services in the order of their keys; *addresses* are those of workloads."""
    slices = _slices_by_service(catalog)
    keys = [
        (*name, port.protocol, port.port)
        for name, service in catalog.services.items()
        if allocations.cluster_ips[name]
        for port in service.spec.ports
    ]
    if allocations.dns:
        keys += [(*dns.NAME, protocol, dns.PORT) for _, protocol in dns.PORTS]
    pools = number_pools(keys)
    index = catalog.labels
    compile_one = partial(_service, catalog, allocations, pools, index, addresses)
    made = [
        compile_one(name, service, slices.get(name, ()))
        for name, service in catalog.services.items()
    ]
    if allocations.dns:
        made.append(_dns_service(allocations, pools))
    if not any(proxy_of(mode).forwards for mode in _modes(catalog)):
        made = [_translated(each) for each in made]
    return tuple(mark_shared(sorted(made, key=attrgetter("key"))))


def _modes(catalog: Catalog) -> set[str]:
    """Return the proxy modes of the nodes."""
    of_site = catalog.cluster.spec.proxy_mode
    return {node.spec.proxy_mode or of_site for node in catalog.nodes.values()}


def _translated(service: compiled.Service) -> compiled.Service:
    """Return *service* for a cluster where no node can forward its packets without NAT."""
    if service.forwarding == "masquerading":
        return service
    return msgspec.structs.replace(service, forwarding="masquerading")


def _stub_zones(spec: Dns) -> tuple[compiled.StubZone, ...]:
    return tuple(
        compiled.StubZone(each.name.removesuffix(".").lower(), tuple(map(canonical, each.servers)))
        for each in spec.stub_zones
    )


def _service(
    catalog: Catalog,
    allocations: Allocations,
    pools: Mapping[tuple[str, str, str, int], int],
    index: LabelIndex,
    workload_addresses: Mapping[tuple[str, str], tuple[str, ...]],
    name: tuple[str, str],
    service: Service,
    slices: Sequence[EndpointSlice],
) -> compiled.Service:
    spec = service.spec
    if service.external:
        target = (spec.external_name or "").removesuffix(".")
        return compiled.Service(*name, external_name=target)
    ports = tuple(
        compiled.Port(p.name, p.protocol, p.port, pools.get((*name, p.protocol, p.port), 0), number)
        for p, number in zip(spec.ports, allocations.node_ports[name], strict=True)
    )
    families = families_of(service, catalog.cluster)
    rows = list(_endpoints(catalog, service, index, workload_addresses, slices))
    return compiled.Service(
        *name,
        families=families,
        cluster_ips=allocations.cluster_ips[name],
        ports=ports,
        endpoints=compiled.columns(rows),
        publish_not_ready=spec.publish_not_ready_addresses,
        external_ips=tuple(map(canonical, spec.external_ips)),
        load_balancer_ips=allocations.load_balancers[name],
        source_ranges=_source_ranges([text for _, text in source_ranges(service)], families),
        affinity_seconds=0 if service.headless else service.affinity_seconds,
        consistent_hash=service.consistent_hash,
        internal_local=spec.internal_traffic_policy == "Local",
        external_local=spec.external_traffic_policy == "Local",
        health_check_port=allocations.health_checks[name],
        scheduler=service.metadata.annotations.get(SCHEDULER, ""),
        forwarding=service.forwarding,
        keep_last_endpoints=service.keep_last_endpoints,
    )


def _dns_service(
    allocations: Allocations, pools: Mapping[tuple[str, str, str, int], int]
) -> compiled.Service:
    """Return the cluster's DNS service: each node sends it to the server on its own bridge."""
    rows = []
    for node, subnets in sorted(allocations.subnets.items()):
        bridge = {family_of(subnet): bridge_address(subnet) for subnet in subnets}
        ipv4, ipv6 = bridge.get("IPv4", ""), bridge.get("IPv6", "")
        targets = (dns.PORT,) * len(dns.PORTS)
        rows.append(compiled.Endpoint("", node, "", ipv4, ipv6, targets))
    return compiled.Service(
        *dns.NAME,
        families=tuple(map(family_of, allocations.dns)),
        cluster_ips=allocations.dns,
        ports=tuple(
            compiled.Port(name, protocol, dns.PORT, pools[*dns.NAME, protocol, dns.PORT])
            for name, protocol in dns.PORTS
        ),
        endpoints=compiled.columns(rows),
        internal_local=True,
    )


def mark_shared(services: Iterable[compiled.Service]) -> Iterator[compiled.Service]:
    """Yield *services*, each marked with the external addresses that an earlier one also has."""
    known: set[str] = set()
    for each in services:
        outside = each.external_ips + each.load_balancer_ips if each.cluster_ips else ()
        shared = tuple(text for text in outside if text in known)
        known.update(outside)
        yield msgspec.structs.replace(each, shared=shared) if shared else each


def _source_ranges(texts: Sequence[str], families: Sequence[Family]) -> tuple[str, ...]:
    """Return *texts* without ranges included in others; none if everything is allowed.

    A /0 opens its family, and also the other family if that has no range, since nothing restricts
    it then. The /0 stays in the list.
    """
    merged = [str(each) for each in cidr_merge(list(texts))]
    named = {family_of(each) for each in merged}
    if any(each.endswith("/0") for each in merged):
        merged += [_EVERYTHING[family] for family in families if family not in named]
    ranges = tuple(each for each in merged if family_of(each) in families)
    return () if all(each.endswith("/0") for each in ranges) else ranges


_EVERYTHING: Final[dict[Family, str]] = {"IPv4": "0.0.0.0/0", "IPv6": "::/0"}


def _ordered(addresses: Sequence[str], cidrs: Sequence[str]) -> tuple[str, ...]:
    """Return *addresses* with the primary family first, in canonical text."""
    order = [family_of(cidr) for cidr in cidrs]
    known = [canonical(text) for text in addresses if family_of(text) in order]
    return tuple(sorted(known, key=lambda text: order.index(family_of(text))))


def _slices_by_service(catalog: Catalog) -> dict[tuple[str, str], list[EndpointSlice]]:
    found: dict[tuple[str, str], list[EndpointSlice]] = defaultdict(list)
    for name in sorted(catalog.slices):
        each = catalog.slices[name]
        if service := each.metadata.labels.get(SERVICE_LABEL):  # Kubernetes' own may have none
            found[name[0], service].append(each)
    return found


def _endpoints(
    catalog: Catalog,
    service: Service,
    index: LabelIndex,
    workload_addresses: Mapping[tuple[str, str], tuple[str, ...]],
    slices: Sequence[EndpointSlice],
) -> Iterator[compiled.Endpoint]:
    """Yield the endpoints of *service*: its workloads by name, then those of its slices."""
    namespace = service.metadata.namespace
    matching = index.matching(namespace, service.spec.selector)
    seen: set[tuple[str, tuple[int, ...]]] = set()
    for workload in sorted(matching, key=attrgetter("metadata.name")):
        if workload.spec.state != "off":
            addresses = workload_addresses[namespace, workload.metadata.name]
            own = _of_workload(service, workload, addresses, catalog.nodes[workload.spec.node])
            if slices:
                seen |= {(own.ipv4, own.targets), (own.ipv6, own.targets)}
            yield own
    if slices:
        yield from _united(_of_slices(catalog, service, slices, managed=not matching), seen)


def _of_slices(
    catalog: Catalog, service: Service, slices: Sequence[EndpointSlice], *, managed: bool
) -> Iterator[compiled.Endpoint]:
    """Yield every endpoint in *slices*; those written by Kubernetes only if *managed*."""
    for each in slices:
        if each.metadata.labels.get(MANAGED_LABEL) == KUBERNETES and not managed:
            continue
        for endpoint in each.endpoints:
            node = catalog.nodes.get(endpoint.node_name or "")
            zone = endpoint.zone or (node.zone if node else "")
            made = _of_slice(service, each, endpoint, zone)
            if node and node.spec.state == "drain":
                made = made._replace(ready=False, terminating=True)
            yield made


def _united(
    endpoints: Iterable[compiled.Endpoint], known: set[tuple[str, tuple[int, ...]]]
) -> Iterator[compiled.Endpoint]:
    """Yield *endpoints* except those at *known* places, each address and hostname once.

    If slices disagree about an endpoint, ready wins, then serving. Only the first of several
    hostnames at one place has a weight, since they are one server.
    """
    best: dict[tuple[str, tuple[int, ...], str], compiled.Endpoint] = {}
    for each in endpoints:
        place = (each.ipv4 or each.ipv6, each.targets)
        name = (*place, each.hostname)
        if place not in known and (name not in best or _rank(each) > _rank(best[name])):
            best[name] = each
    weighed: set[tuple[str, tuple[int, ...]]] = set()
    for (address, targets, _), each in best.items():
        again = (address, targets) in weighed
        weighed.add((address, targets))
        yield each._replace(weight=0) if again else each


def _rank(endpoint: compiled.Endpoint) -> tuple[bool, bool, bool]:
    return endpoint.ready, endpoint.serving, not endpoint.terminating


def _of_workload(
    service: Service, workload: Workload, addresses: tuple[str, ...], node: Node
) -> compiled.Endpoint:
    spec = workload.spec
    draining = "drain" in (spec.state, node.spec.state)
    ipv4 = ipv6 = ""
    for text in addresses:
        if family_of(text) == "IPv4":
            ipv4 = text
        else:
            ipv6 = text
    for_zones, for_nodes = _NO_HINTS
    if service.spec.traffic_distribution is not None:
        for_zones, for_nodes = _hints(service, node.zone, spec.node)
    return compiled.Endpoint(
        workload=workload.metadata.name,
        node=spec.node,
        hostname=spec.hostname or "",
        ipv4=ipv4,
        ipv6=ipv6,
        targets=tuple(
            [_target(port.target, port.protocol, workload) for port in service.spec.ports]
        ),
        ready=not draining,
        terminating=draining,
        weight=spec.weight,
        for_zones=for_zones,
        for_nodes=for_nodes,
    )


_NO_HINTS: Final[tuple[tuple[str, ...], tuple[str, ...]]] = ((), ())


def _hints(service: Service, zone: str, node: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the zones and nodes for which trafficDistribution prefers an endpoint (KEP-3015)."""
    distribution = service.spec.traffic_distribution
    if distribution is None:
        return _NO_HINTS
    by_node = distribution == "PreferSameNode" and node
    return (zone,) if zone else (), (node,) if by_node else ()


def _target(target: int | str, protocol: str, workload: Workload) -> int:
    if isinstance(target, int):
        return target
    for port in workload.spec.ports:
        if port.name == target and port.protocol == protocol:
            return port.port
    return 0


def _of_slice(
    service: Service, each: EndpointSlice, endpoint: SliceEndpoint, zone: str
) -> compiled.Endpoint:
    ports = {(port.name or "", port.protocol): port.port or 0 for port in each.ports}
    conditions = endpoint.conditions
    first = canonical(endpoint.addresses[0])
    for_zones, for_nodes = _hints(service, zone, endpoint.node_name or "")
    if endpoint.hints is not None:
        for_zones = tuple(each.name for each in endpoint.hints.for_zones)
        for_nodes = tuple(each.name for each in endpoint.hints.for_nodes)
    return compiled.Endpoint(
        workload="",
        node=endpoint.node_name or "",
        hostname=endpoint.hostname or "",
        ipv4=first if each.address_type == "IPv4" else "",
        ipv6=first if each.address_type == "IPv6" else "",
        targets=tuple(ports.get((port.name, port.protocol), 0) for port in service.spec.ports),
        ready=conditions.ready is not False,
        serving=conditions.serving is not False,
        terminating=conditions.terminating is True,
        for_zones=for_zones,
        for_nodes=for_nodes,
    )
