"""`render`: the part of a NodeState to map elements. Pure."""

from collections.abc import Sequence

from groundplane.dataplanes.nftables.maps import Elements, host32
from groundplane.net.address import family_of
from groundplane.project.state import NodeBase, Part, VirtualPort, VirtualService
from groundplane.proxies.frontends import handle
from groundplane.proxies.frontends.maps import MAPS as FRONTENDS
from groundplane.proxies.frontends.render import render_service
from groundplane.proxies.nftables.classes import HASH, TIMEOUT_SHIFT, class_of
from groundplane.proxies.nftables.maps import MAPS, SlotMaps
from groundplane.site.map_limits import MAX_ENDPOINTS

_PAD = bytes(2)  # after a port: the kernel's registers have four bytes each
_SLOTS = tuple(host32(number) for number in range(MAX_ENDPOINTS))


def render(base: NodeBase, part: Part) -> Elements:
    """Return the elements of *part*: element to data."""
    if isinstance(part, VirtualService):
        return render_service(base, part, _draw, _add)
    return {}


def _draw(base: NodeBase, service: VirtualService, slots: int) -> int:
    if slots and service.consistent_hash:
        return HASH
    class_ = class_of(slots)
    if not (class_ and service.affinity_seconds):
        return class_
    timeout = base.affinity_timeouts.index(service.affinity_seconds) + 1
    return timeout << TIMEOUT_SHIFT | class_


def _add(
    elements: Elements,
    service: VirtualService,
    port: VirtualPort,
    address: str,
    _inside: int,
    cluster: int,
    local: int,
) -> None:
    """Add the slots of each pool, and the handles for retried connections."""
    family = family_of(address)
    maps, targets = MAPS[family], port.targets(family)
    if service.affinity_seconds:
        handles = FRONTENDS[family].handles.prefix
        for way, slots in ((cluster, targets.cluster), (local, targets.local)):
            if way:
                elements[handles + host32(handle.pool_of(way))] = host32(way)
                _add_sticky(elements, maps, handle.pool_of(way), slots, targets.numbers or {})
        return
    pool = handle.pool_of(cluster)
    _add_slots(elements, maps.slots.prefix + host32(pool), targets.cluster)
    if local:
        _add_slots(elements, maps.slots.prefix + host32(pool | handle.LOCAL_POOL), targets.local)
    if service.external_local:
        elements[FRONTENDS[family].handles.prefix + host32(pool)] = host32(cluster)


def _add_slots(elements: Elements, key: bytes, targets: Sequence[bytes]) -> None:
    for slot, target in zip(_SLOTS, targets, strict=False):
        elements[key + slot] = target + _PAD


def _add_sticky(
    elements: Elements,
    maps: SlotMaps,
    pool: int,
    slots: tuple[bytes, ...],
    numbers: dict[bytes, int],
) -> None:
    """Add slots that hold numbers of endpoints, and the endpoints by their numbers.

    A connection uses the pool's handle to choose again when its known endpoint is gone.
    """
    choices, endpoints = maps.choices.prefix + host32(pool), maps.endpoints.prefix
    for slot, target in zip(_SLOTS, slots, strict=False):
        number = host32(pool | numbers[target])
        elements[choices + slot] = number
        elements[endpoints + number] = target + _PAD
