"""`render`: the part of a NodeState to map elements. Pure; here a service becomes elements."""

from collections.abc import Iterable, Iterator

import netaddr

from groundplane.dataplanes.nftables import handle
from groundplane.dataplanes.nftables.maps import MAPS, Element, FamilyMaps, host32
from groundplane.kernel.owned import mark_of
from groundplane.net.address import family_of, pack
from groundplane.net.protocols import NUMBERS, Family, Protocol
from groundplane.project.sources import allowed_sources
from groundplane.project.state import (
    LocalWorkload,
    NodeBase,
    Part,
    ServicePort,
    Targets,
    VirtualService,
)
from groundplane.site.map_limits import MAX_ENDPOINTS
from groundplane.site.map_sizes import RANGE_STEP

_SLOTS = tuple(host32(number) for number in range(MAX_ENDPOINTS))
_PAD = bytes(2)

Elements = dict[Element, bytes]


def render(base: NodeBase, part: Part) -> Elements:
    """Return the elements of *part*: element to data."""
    match part:
        case VirtualService():
            return _service(base, part)
        case NodeBase():
            return _base(part)
    return {}


def _service(base: NodeBase, service: VirtualService) -> Elements:
    elements: Elements = {}
    ways = service.external_ips + service.load_balancer_ips
    for address in service.cluster_ips + ways:
        if address in service.shared:  # the other service's part has it
            continue
        elements[MAPS[family_of(address)].service_addresses.prefix + pack(address)] = b""
    for address in service.cluster_ips:  # one of each family
        family = family_of(address)
        maps, packed = MAPS[family], pack(address)
        for port in service.ports:
            targets, pool = port.targets(family), port.pool << handle.POOL_BITS
            cluster, local = _handles(base, service, targets, pool)
            inside = local if service.internal_local else cluster
            key = maps.cluster_ips.prefix + packed + _port(port.protocol, port.port)
            elements[key] = host32(inside)
            if ways or port.node_port:
                outside = local | handle.LOCAL if service.external_local else cluster
                _add_outside(elements, base, service, port, family, outside)
            if base.proxy_mode == "ipvs":
                _add_balanced(elements, service, port, address, inside, cluster)
            elif service.affinity_seconds:
                _add_sticky(elements, maps, targets, cluster, local)
            else:
                _add_drawn(elements, service, maps, targets, cluster, local)
    if service.answering:
        _add_answering(elements, base, service)
    return elements


def _port(protocol: Protocol, number: int) -> bytes:
    return _PROTOCOLS[protocol] + number.to_bytes(2, "big") + _PAD


_PROTOCOLS = {name: bytes((number, 0, 0, 0)) for name, number in NUMBERS.items()}


def _handles(
    base: NodeBase, service: VirtualService, targets: Targets, pool: int
) -> tuple[int, int]:
    """Return the handles of the even pool and of the odd one, 0 where no policy is Local.

    The odd one refuses where no endpoint is anywhere, and drops where there is one, but none here.
    """
    cluster = pool | _draw(base, service, len(targets.cluster))
    if not (service.internal_local or service.external_local):
        return cluster, 0
    local = _draw(base, service, len(targets.local))
    if targets.cluster and not targets.local:
        local = handle.DROP
    return cluster, pool | handle.LOCAL_POOL | local


def _draw(base: NodeBase, service: VirtualService, slots: int) -> int:
    """Return the part of a handle that says how one of *slots* is drawn."""
    if base.proxy_mode == "ipvs":
        return handle.BALANCED if slots else handle.REFUSE
    if slots and service.consistent_hash:
        return handle.HASH
    class_ = handle.class_of(slots)
    if not (class_ and service.affinity_seconds):
        return class_
    timeout = base.affinity_timeouts.index(service.affinity_seconds) + 1
    return timeout << handle.TIMEOUT_SHIFT | class_


def _add_balanced(
    elements: Elements,
    service: VirtualService,
    port: ServicePort,
    address: str,
    inside: int,
    cluster: int,
) -> None:
    """Add what leads the packets of a port to IPVS, at the cluster IP *address* and from outside."""
    family = family_of(address)
    if service.external_local:
        _add_mark(elements, MAPS[family], port, cluster)
    if service.forwarding != "masquerading":
        ways = _of_family(service.external_ips + service.load_balancer_ips, family)
        _add_untranslated(elements, port, (address,), inside)
        _add_untranslated(elements, port, ways, cluster)


def _add_mark(elements: Elements, maps: FamilyMaps, port: ServicePort, cluster: int) -> None:
    """Add how IPVS finds the pool of all endpoints where the address means those of this node."""
    pool = host32(handle.pool_of(cluster))
    elements[maps.handles.prefix + pool] = host32(cluster)
    elements[maps.marks.prefix + pool] = host32(mark_of(port.protocol, port.pool))


def _add_untranslated(
    elements: Elements, port: ServicePort, addresses: Iterable[str], way: int
) -> None:
    """Add what IPVS sends on as it is, where the handle *way* leads to it.

    Conntrack, which sees no answer, must not see it either.
    """
    if not handle.is_balanced(way):
        return
    for address in addresses:
        maps, packed = MAPS[family_of(address)], pack(address)
        elements[maps.untranslated.prefix + packed + _port(port.protocol, port.port)] = b""
        elements[maps.untranslated_addresses.prefix + packed] = b""


def _add_answering(elements: Elements, base: NodeBase, service: VirtualService) -> None:
    """Let workloads of this node that have the service's addresses themselves answer by them."""
    addresses = service.cluster_ips + service.external_ips + service.load_balancer_ips
    for workload in base.workloads:
        for family in {family_of(each) for each in workload.addresses if each in service.answering}:
            prefix = MAPS[family].guard.prefix + _port_of(workload)
            elements.update((prefix + pack(each), b"") for each in _of_family(addresses, family))


def _add_drawn(
    elements: Elements,
    service: VirtualService,
    maps: FamilyMaps,
    targets: Targets,
    cluster: int,
    local: int,
) -> None:
    """Add the slots of each pool, and the handle that a Local policy falls back to."""
    pool = handle.pool_of(cluster)
    _add_slots(elements, maps.slots.prefix + host32(pool), targets.cluster)
    if local:
        _add_slots(elements, maps.slots.prefix + host32(pool | handle.LOCAL_POOL), targets.local)
    if service.external_local:
        elements[maps.handles.prefix + host32(pool)] = host32(cluster)


def _add_slots(elements: Elements, key: bytes, slots: tuple[bytes, ...]) -> None:
    elements.update(zip([key + slot for slot in _SLOTS[: len(slots)]], slots, strict=False))


def _add_sticky(
    elements: Elements, maps: FamilyMaps, targets: Targets, cluster: int, local: int
) -> None:
    """Add slots that hold numbers of endpoints, the endpoints by their numbers, and the handles
    that a connection comes back to when the endpoint it knew is gone."""
    numbers = targets.numbers or {}
    for way, slots in ((cluster, targets.cluster), (local, targets.local)):
        if not way:
            continue
        pool = handle.pool_of(way)
        elements[maps.handles.prefix + host32(pool)] = host32(way)
        ids = tuple(host32(pool | numbers[target]) for target in slots)
        _add_slots(elements, maps.choices.prefix + host32(pool), ids)
        elements.update(
            (maps.endpoints.prefix + id_, target) for id_, target in zip(ids, slots, strict=True)
        )


def _add_outside(
    elements: Elements,
    base: NodeBase,
    service: VirtualService,
    port: ServicePort,
    family: Family,
    way: int,
) -> None:
    """Add what is reached from outside: external and balanced addresses, and the node port."""
    prefix, entrance = MAPS[family].external_ips.prefix, _port(port.protocol, port.port)
    for address in _of_family(service.external_ips, family):
        elements[prefix + pack(address) + entrance] = host32(way)
    if port.node_port:
        for address in _of_family(base.addresses, family):
            key = prefix + pack(address) + _port(port.protocol, port.node_port)
            elements[key] = host32(way)
    ranges = allowed_sources(base, service, family) if service.source_ranges else []
    balanced = list(_of_family(service.load_balancer_ips, family))
    if balanced and service.source_ranges and not any(each.endswith("/0") for each in ranges):
        way |= handle.RESTRICTED
        for key in _ranges(ranges, port.pool << handle.POOL_BITS):
            elements[MAPS[family].source_ranges.prefix + key] = b""
    for address in balanced:
        elements[prefix + pack(address) + entrance] = host32(way)


def _of_family(texts: Iterable[str], family: Family) -> Iterator[str]:
    return (text for text in texts if family_of(text) == family)


def _ranges(texts: Iterable[str], pool: int) -> Iterator[bytes]:
    """Yield the keys of source ranges; each is split into ones of the next kept length."""
    for text in texts:
        found = netaddr.IPNetwork(text)
        length = -(-found.prefixlen // RANGE_STEP) * RANGE_STEP
        for part in found.subnet(length):
            yield host32(pool | length) + part.network.packed


def _base(base: NodeBase) -> Elements:
    elements: Elements = {}
    for text in (*base.addresses, *(text for peer in base.peers for text in peer.addresses)):
        elements[MAPS[family_of(text)].nodes.prefix + pack(text)] = b""
    for text in (text for peer in base.peers if peer.tunnel for text in peer.addresses):
        elements[MAPS[family_of(text)].tunnel_nodes.prefix + pack(text)] = b""
    for cidr in (*base.subnets, *(cidr for peer in base.peers for cidr in peer.subnets)):
        prefix = MAPS[family_of(cidr)].subnets.prefix
        elements[prefix + pack(cidr.partition("/")[0])] = b""
    for workload in base.workloads:
        for text in workload.addresses:
            maps, address = MAPS[family_of(text)], pack(text)
            elements[maps.hairpin.prefix + address + address] = b""
            elements[maps.guard.prefix + _port_of(workload) + address] = b""
            elements[maps.announced.prefix + _port_of(workload) + address] = b""
    return elements


def _port_of(workload: LocalWorkload) -> bytes:
    """Return what a frame of *workload* is known by: its port, and its hardware address."""
    mac = bytes.fromhex(workload.mac.replace(":", ""))
    return workload.interface.encode().ljust(16, b"\0") + mac + _PAD
