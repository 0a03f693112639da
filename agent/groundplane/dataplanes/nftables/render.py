"""`render`: the part of a NodeState to map elements. Pure; here a service becomes an element."""

from groundplane.dataplanes.nftables.handle import handle
from groundplane.dataplanes.nftables.maps import MAPS, PROTOCOLS, Element, host32
from groundplane.model.address import family_of, pack
from groundplane.model.limits import MAX_ENDPOINTS
from groundplane.project.state import NodeBase, Part, VirtualService

_SLOTS = tuple(host32(number) for number in range(MAX_ENDPOINTS))
_PAD = bytes(2)


def render(part: Part) -> dict[Element, bytes]:
    """Return the elements of *part*: (map, key) to data."""
    match part:
        case VirtualService():
            return _service(part)
        case NodeBase():
            return _base(part)


def _service(service: VirtualService) -> dict[Element, bytes]:
    elements: dict[Element, bytes] = {}
    for cluster_ip in service.cluster_ips:
        family, address = family_of(cluster_ip), pack(cluster_ip)
        maps = MAPS[family]
        elements[maps.cluster_addresses, address] = b""
        for port in service.ports:
            targets = port.targets(family)
            where = bytes((PROTOCOLS[port.protocol], 0, 0, 0)) + port.port.to_bytes(2, "big") + _PAD
            elements[maps.cluster_ips, address + where] = host32(handle(port.pool, len(targets)))
            pool, slots = host32(port.pool << 12), maps.slots
            keys = [(slots, pool + slot) for slot in _SLOTS[: len(targets)]]
            elements.update(zip(keys, targets, strict=False))
    return elements


def _base(base: NodeBase) -> dict[Element, bytes]:
    elements: dict[Element, bytes] = {}
    for text in (*base.addresses, *(text for peer in base.peers for text in peer.addresses)):
        elements[MAPS[family_of(text)].nodes, pack(text)] = b""
    for workload in base.workloads:
        for text in workload.addresses:
            maps, address = MAPS[family_of(text)], pack(text)
            elements[maps.hairpin, address + address] = b""
            elements[maps.guard, workload.interface.encode().ljust(16, b"\0") + address] = b""
    return elements
