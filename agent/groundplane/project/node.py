"""`project`: NodeState of one node, from the compiled site and the node's view of which probes fail."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from groundplane.errors import GroundplaneError
from groundplane.hint import did_you_mean
from groundplane.kernel.owned import WORKLOAD_LINKS
from groundplane.net.address import bridge_address, dashed, family_of, pack
from groundplane.net.protocols import Family
from groundplane.project.select_endpoints import Failing, Place, SelectedEndpoints, select_endpoints
from groundplane.project.state import (
    NONE,
    LocalWorkload,
    Member,
    NodeBase,
    NodeState,
    NodeWorkloads,
    Peer,
    VirtualPort,
    VirtualService,
)
from groundplane.project.targets import targets
from groundplane.site import compiled
from groundplane.site.compiled import Sizes
from groundplane.site.encoding import workload_blocks

# Outer IP header, UDP's, and the tunnel's own: VXLAN's, or those of WireGuard's transport messages.
_OVERHEAD: Final = {
    ("vxlan", "IPv4"): 20 + 8 + 8,
    ("vxlan", "IPv6"): 40 + 8 + 8,
    ("wireguard", "IPv4"): 20 + 8 + 32,
    ("wireguard", "IPv6"): 40 + 8 + 32,
}


_NOT_COUNTED: Final[Mapping[Family, int]] = {}  # one for all services


def project(site: compiled.Site, node: str, failing: Failing) -> NodeState:
    """Return the state of *node*; GroundplaneError if the site has no such node."""
    base, place = project_base(site, node), place_of(site, node)
    services = (project_service(each, place, failing) for each in site.services)
    return NodeState.of(base, services, map(NodeWorkloads, workload_blocks(site.workloads)))


def place_of(site: compiled.Site, node: str) -> Place:
    """Return the place of *node*; GroundplaneError if the site has no such node."""
    return Place(node, _node(site, node).zone)


def project_service(service: compiled.Service, place: Place, failing: Failing) -> VirtualService:
    """Return *service* with the endpoints that take its new connections at *place*."""
    if service.external_name:
        return VirtualService(*service.key, (), (), external_name=service.external_name)
    chosen = select_endpoints(service, place, failing)
    if not service.cluster_ips:
        ports = tuple(VirtualPort(p.name, p.protocol, p.port, 0) for p in service.ports)
        return VirtualService(*service.key, (), ports, _members(service, chosen.ready))
    ipv4 = ipv6 = [NONE] * len(service.ports)
    if "IPv4" in service.families:
        ipv4 = targets(service, "IPv4", place, chosen)
    if "IPv6" in service.families:
        ipv6 = targets(service, "IPv6", place, chosen)
    ports = tuple(
        [
            VirtualPort(p.name, p.protocol, p.port, p.pool, ipv4[index], ipv6[index], p.node_port)
            for index, p in enumerate(service.ports)
        ]
    )
    return VirtualService(
        service.namespace,
        service.name,
        service.cluster_ips,
        ports,
        (),
        service.external_ips,
        service.load_balancer_ips,
        service.source_ranges,
        service.affinity_seconds,
        service.consistent_hash,
        service.internal_local,
        service.external_local,
        service.health_check_port,
        _served_here(service, chosen, place, ports) if service.health_check_port else _NOT_COUNTED,
        shared=service.shared,
        scheduler=service.scheduler,
        forwarding=service.forwarding,
        dsr_workloads=() if service.forwarding == "masquerading" else _here(service, place),
    )


def _here(service: compiled.Service, place: Place) -> tuple[str, ...]:
    """Return the addresses of all endpoints of *service* that are, or may be, at *place*.

    Includes draining endpoints, and those of EndpointSlices, whose node is unknown.
    """
    rows = service.endpoints.rows()
    here = [
        row.address(family)
        for row in rows
        if row.node in (place.node, "")
        for family in service.families
    ]
    return tuple(filter(None, here))


def _served_here(
    service: compiled.Service, chosen: SelectedEndpoints, place: Place, ports: Sequence[VirtualPort]
) -> dict[Family, int]:
    """Return how many addresses of ready endpoints at *place* take new connections, by family.

    Endpoints that are draining do not count: no load balancer should rely on them.
    """
    rows = service.endpoints.rows()
    here = [rows[index] for index in chosen.ready if rows[index].node == place.node]
    found: dict[Family, int] = {}
    for family in service.families:
        ready = {pack(text) for row in here if (text := row.address(family))}
        served = {target[:-2] for port in ports for target in port.targets(family).local}
        found[family] = len(ready & served)
    return found


def _members(service: compiled.Service, chosen: Sequence[int]) -> tuple[Member, ...]:
    rows = service.endpoints.rows()
    return tuple(
        Member(row.hostname or dashed(text), text, row.targets)
        for row in map(rows.__getitem__, chosen)
        for family in service.families
        if (text := row.address(family))
    )


def project_base(site: compiled.Site, name: str) -> NodeBase:
    """Return the base of the node *name*; GroundplaneError if the site has no such node."""
    node = _node(site, name)
    return NodeBase(
        name=name,
        domain=site.domain,
        families=tuple(family_of(cidr) for cidr in site.service_cidrs),
        addresses=node.addresses,
        subnets=node.subnets,
        bridge_addresses=tuple(bridge_address(subnet) for subnet in node.subnets),
        bridge_mac=_mac(f"bridge/{name}"),
        service_cidrs=site.service_cidrs,
        workload_cidrs=site.workload_cidrs,
        non_masquerade_cidrs=site.non_masquerade_cidrs,
        egress_masquerade=site.egress_masquerade,
        forwarders=site.forwarders,
        peers=tuple(_peer(site.overlay, node, each) for each in site.nodes if each.name != name),
        workloads=tuple(
            local_workload(w.namespace, w.name, w.addresses)
            for w in site.workloads
            if w.node == name
        ),
        capacity=capacities(site.sizes),
        affinity_timeouts=site.affinity_timeouts,
        external_cidrs=site.external_cidrs,
        cluster_ips_from_outside=site.cluster_ips_from_outside,
        node_ports=site.node_ports,
        stub_zones=site.stub_zones,
        tls_server_name=site.tls_server_name,
        dnssec=site.dnssec,
        overlay=site.overlay,
        mtu=node.mtu - (overhead(site.overlay, node) if site.overlay else 0),
        proxy_mode=node.proxy_mode,
        ipvs=site.ipvs,
        draining=node.draining,
    )


def _peer(overlay: compiled.Overlay | None, node: compiled.Node, other: compiled.Node) -> Peer:
    on_link = node.segment == other.segment
    tunnelled = overlay is not None and (overlay.mode == "wireguard" or not on_link)
    tunnel = other.addresses[0] if tunnelled else ""
    key = other.public_key if tunnelled else ""
    return Peer(other.name, other.addresses, other.subnets, tunnel, key, on_link)


def overhead(overlay: compiled.Overlay, node: compiled.Node) -> int:
    """Return the bytes that *overlay* adds to a packet from *node* to another node's workload."""
    return _OVERHEAD[overlay.mode, family_of(node.addresses[0])]


def _node(site: compiled.Site, name: str) -> compiled.Node:
    for node in site.nodes:
        if node.name == name:
            return node
    known = [node.name for node in site.nodes]
    raise GroundplaneError(f'the site has no Node "{name}"{did_you_mean(name, known)}')


def capacities(sizes: Sizes) -> Sizes:
    """Return the sizes to declare for maps that must hold *sizes*."""
    return Sizes(*(capacity(size) for size in msgspec.structs.astuple(sizes)))


def capacity(elements: int) -> int:
    """Return the size to declare for a map of *elements*, with room to grow by half.

    Sizes are three quarters of a power of two, at which the kernel's hash table gets exactly
    that power of two of buckets (rhashtable: nelem_hint * 4 / 3, rounded up).
    """
    size = 3 << 8
    while size < elements * 3 // 2:
        size <<= 1
    return size


def local_workload(namespace: str, name: str, addresses: tuple[str, ...]) -> LocalWorkload:
    """Return how a node connects the workload *name*; the same at every boot."""
    interface, mac = interface_name(namespace, name), _mac(f"workload/{namespace}/{name}")
    return LocalWorkload(namespace, name, interface, mac, addresses)


def _mac(seed: str) -> str:
    """Return a locally administered hardware address, determined by *seed*."""
    return "02:" + hashlib.sha256(seed.encode()).digest()[:5].hex(":")


def interface_name(namespace: str, name: str) -> str:
    """Return the host's end of a workload's veth pair: 14 of the 15 characters the kernel allows."""
    return WORKLOAD_LINKS + hashlib.sha256(f"{namespace}/{name}".encode()).hexdigest()[:11]
