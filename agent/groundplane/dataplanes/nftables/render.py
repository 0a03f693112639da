"""`render`: the part of a NodeState to map elements. Pure; here a service becomes elements."""

from collections.abc import Iterable, Iterator

import netaddr

from groundplane.dataplanes.nftables import handle
from groundplane.dataplanes.nftables.maps import MAPS, PROTOCOLS, Element, host32
from groundplane.model.address import family_of, pack
from groundplane.model.limits import MAX_ENDPOINTS
from groundplane.model.service import Family
from groundplane.project.state import NodeBase, Part, ServicePort, VirtualService
from groundplane.sizes import RANGE_STEP

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


def _service(base: NodeBase, service: VirtualService) -> Elements:
    elements: Elements = {}
    if not service.cluster_ips:
        return elements
    families = {family_of(text) for text in service.cluster_ips}
    addresses = (*service.cluster_ips, *service.external_ips, *service.load_balancer_ips)
    for text in addresses:
        elements[MAPS[family_of(text)].service_addresses.prefix + pack(text)] = b""
    for port in service.ports:
        for family in families:
            _Entrance(base, service, port, family).add(elements)
    return elements


class _Entrance:
    """One port of a service in one family: what leads to it, and where it leads."""

    def __init__(
        self, base: NodeBase, service: VirtualService, port: ServicePort, family: Family
    ) -> None:
        self.base, self.service, self.port, self.family = base, service, port, family
        self.maps = MAPS[family]
        self.targets = port.targets(family)
        self.pool = port.pool << handle.POOL_BITS

    def add(self, elements: Elements) -> None:
        service, maps = self.service, self.maps
        cluster, local = self._handle(self.targets.cluster), 0
        if service.internal_local or service.external_local:
            local = self._local_handle()
        inside = host32(local if service.internal_local else cluster)
        for address in _of_family(service.cluster_ips, self.family):
            elements[self._where(maps.cluster_ips.prefix, address)] = inside
        self._add_outside(elements, local | handle.LOCAL if service.external_local else cluster)
        self._add_pool(elements, self.pool, self.targets.cluster)
        if local:
            self._add_pool(elements, self.pool | handle.LOCAL_POOL, self.targets.local)
        if service.affinity_seconds:
            self._add_numbers(elements, cluster, local)
        elif service.external_local:
            elements[maps.handles.prefix + host32(self.pool)] = host32(cluster)

    def _where(self, prefix: bytes, address: str, port: int = 0) -> Element:
        number = (port or self.port.port).to_bytes(2, "big")
        return b"".join((prefix, pack(address), _PROTOCOLS[self.port.protocol], number, _PAD))

    def _handle(self, slots: tuple[bytes, ...]) -> int:
        """Return the handle of the even pool with *slots*."""
        if self.service.consistent_hash and slots:
            return self.pool | handle.HASH
        timeout, class_ = 0, handle.class_of(len(slots))
        if self.service.affinity_seconds and class_:
            timeout = self.base.affinity_timeouts.index(self.service.affinity_seconds) + 1
        return self.pool | timeout << handle.TIMEOUT_SHIFT | class_

    def _local_handle(self) -> int:
        """Return the handle of the odd pool: it refuses where no endpoint is anywhere, and drops
        where there is one, but none here."""
        if self.targets.cluster and not self.targets.local:
            return self.pool | handle.LOCAL_POOL | handle.DROP
        return self._handle(self.targets.local) | handle.LOCAL_POOL

    def _add_outside(self, elements: Elements, way: int) -> None:
        """Add the addresses that are reached from outside: external, balanced, and node ports."""
        service, outside = self.service, self.maps.external_ips.prefix
        for address in _of_family(service.external_ips, self.family):
            elements[self._where(outside, address)] = host32(way)
        if self.port.node_port:
            for address in _of_family(self.base.addresses, self.family):
                elements[self._where(outside, address, self.port.node_port)] = host32(way)
        balanced = list(_of_family(service.load_balancer_ips, self.family))
        ranges = list(_of_family(service.source_ranges, self.family))
        if balanced and service.source_ranges and not any(each.endswith("/0") for each in ranges):
            way |= handle.RESTRICTED
            for key in _ranges(ranges, self.pool):
                elements[self.maps.source_ranges.prefix + key] = b""
        for address in balanced:
            elements[self._where(outside, address)] = host32(way)

    def _add_pool(self, elements: Elements, pool: int, slots: tuple[bytes, ...]) -> None:
        key, values = self.maps.slots.prefix + host32(pool), slots
        if self.service.affinity_seconds:
            key, numbers = self.maps.choices.prefix + host32(pool), self.targets.numbers or {}
            values = tuple(host32(pool | numbers[target]) for target in slots)
        keys = [key + slot for slot in _SLOTS[: len(values)]]
        elements.update(zip(keys, values, strict=False))

    def _add_numbers(self, elements: Elements, cluster: int, local: int) -> None:
        """Add what finds an endpoint again by its number, and the handle of a pool by the pool."""
        numbers, maps = self.targets.numbers or {}, self.maps
        for pool, way, slots in (
            (self.pool, cluster, self.targets.cluster),
            (self.pool | handle.LOCAL_POOL, local, self.targets.local if local else ()),
        ):
            if way:
                elements[maps.handles.prefix + host32(pool)] = host32(way)
            for target in slots:
                elements[maps.endpoints.prefix + host32(pool | numbers[target])] = target


_PROTOCOLS = {name: bytes((number, 0, 0, 0)) for name, number in PROTOCOLS.items()}


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
    for workload in base.workloads:
        for text in workload.addresses:
            maps, address = MAPS[family_of(text)], pack(text)
            elements[maps.hairpin.prefix + address + address] = b""
            port = workload.interface.encode().ljust(16, b"\0")
            elements[maps.guard.prefix + port + address] = b""
    return elements
