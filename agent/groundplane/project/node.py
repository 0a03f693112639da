"""`project`: NodeState of one node, from the compiled site and the node's view of which probes fail."""

import hashlib
from collections.abc import Sequence
from socket import AF_INET, AF_INET6, inet_pton

from groundplane.allocate.allocation import bridge_address
from groundplane.errors import GroundplaneError
from groundplane.model import compiled
from groundplane.model.address import family_of
from groundplane.model.hint import did_you_mean
from groundplane.project.state import (
    LocalWorkload,
    Member,
    NodeBase,
    NodeState,
    Peer,
    ServicePort,
    VirtualService,
)
from groundplane.resolve import Failing, serving_endpoints


def project(site: compiled.Site, node: str, failing: Failing) -> NodeState:
    """Return what *node* has to do; GroundplaneError when the site has no such node."""
    services = {service.key: project_service(service, failing) for service in site.services}
    return NodeState(project_base(site, node), services)


def project_service(service: compiled.Service, failing: Failing) -> VirtualService:
    """Return *service* with the endpoints that take its new connections."""
    chosen = serving_endpoints(service, failing)
    if not service.cluster_ips:
        ports = tuple(ServicePort(p.name, p.protocol, p.port, 0) for p in service.ports)
        members = [member for endpoint in chosen for member in _members(service, endpoint)]
        return VirtualService(service.namespace, service.name, (), ports, tuple(members))
    has4, has6 = "IPv4" in service.families, "IPv6" in service.families
    ports = tuple(
        ServicePort(
            port.name,
            port.protocol,
            port.port,
            port.pool,
            _targets4(chosen, index) if has4 else (),
            _targets6(chosen, index) if has6 else (),
        )
        for index, port in enumerate(service.ports)
    )
    return VirtualService(service.namespace, service.name, service.cluster_ips, ports)


# Two functions that are alike, and flat, since they see every endpoint of the site. Two endpoints at
# one address and port (workloads of one host network) are one target.


def _targets4(chosen: Sequence[compiled.Endpoint], index: int) -> tuple[bytes, ...]:
    """Return the packed IPv4 targets of one port: an endpoint without address or port has none."""
    packed = [
        inet_pton(AF_INET, each.ipv4) + _PORTS[target]
        for each in chosen
        if (target := each.targets[index]) and each.ipv4
    ]
    return tuple(dict.fromkeys(packed))


def _targets6(chosen: Sequence[compiled.Endpoint], index: int) -> tuple[bytes, ...]:
    """Return the packed IPv6 targets of one port: an endpoint without address or port has none."""
    packed = [
        inet_pton(AF_INET6, each.ipv6) + _PORTS[target]
        for each in chosen
        if (target := each.targets[index]) and each.ipv6
    ]
    return tuple(dict.fromkeys(packed))


class _PortBytes(dict[int, bytes]):
    """Packed ports with their padding, made on first use."""

    def __missing__(self, port: int) -> bytes:
        self[port] = packed = port.to_bytes(2, "big") + bytes(2)
        return packed


_PORTS = _PortBytes()


def _members(service: compiled.Service, endpoint: compiled.Endpoint) -> list[Member]:
    addresses = [endpoint.address(family) for family in service.families]
    return [
        Member(
            endpoint.hostname or text.replace(".", "-").replace(":", "-"), text, endpoint.targets
        )
        for text in addresses
        if text
    ]


def project_base(site: compiled.Site, name: str) -> NodeBase:
    """Return all of *name* but its services; GroundplaneError when the site has no such node."""
    nodes = {node.name: node for node in site.nodes}
    if name not in nodes:
        raise GroundplaneError(f'the site has no Node "{name}"{did_you_mean(name, nodes)}')
    node = nodes[name]
    return NodeBase(
        name=name,
        domain=site.domain,
        families=tuple(family_of(cidr) for cidr in site.service_cidrs),
        addresses=node.addresses,
        subnets=node.subnets,
        bridge_addresses=tuple(bridge_address(subnet) for subnet in node.subnets),
        bridge_mac=_mac(name),
        service_cidrs=site.service_cidrs,
        workload_cidrs=site.workload_cidrs,
        non_masquerade_cidrs=site.non_masquerade_cidrs,
        egress_masquerade=site.egress_masquerade,
        forwarders=site.forwarders,
        peers=tuple(
            Peer(each.name, each.addresses, each.subnets)
            for each in site.nodes
            if each.name != name
        ),
        workloads=tuple(
            LocalWorkload(w.namespace, w.name, interface_name(w.namespace, w.name), w.addresses)
            for w in site.workloads
            if w.node == name
        ),
        slot_capacity=capacity(site.slots),
    )


def capacity(slots: int) -> int:
    """Return the size to declare for maps of *slots* elements, with room to grow by half.

    Sizes are three quarters of a power of two, at which the kernel's hash table gets exactly
    that power of two of buckets (rhashtable: nelem_hint * 4 / 3, rounded up).
    """
    size = 3 << 12
    while size < slots * 3 // 2:
        size <<= 1
    return size


def _mac(node: str) -> str:
    """Return a locally administered address for the bridge of *node*, the same at every boot."""
    digest = hashlib.sha256(f"bridge/{node}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def interface_name(namespace: str, name: str) -> str:
    """Return the host's end of a workload's veth pair: 14 of the 15 characters the kernel allows."""
    return "gpw" + hashlib.sha256(f"{namespace}/{name}".encode()).hexdigest()[:11]
