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
    maps, handles, targets = MAPS[family], FRONTENDS[family].handles.prefix, port.targets(family)
    if service.affinity_seconds:
        for way, slots in ((cluster, targets.cluster), (local, targets.local)):
            if way:
                elements[handles + host32(handle.pool_of(way))] = host32(way)
                _add_sticky(elements, maps, handle.pool_of(way), slots, targets.numbers or {})
        return
    pool = handle.pool_of(cluster)
    _add_slots(elements, maps.slots.prefix + host32(pool), _padded(targets.cluster))
    if local:
        local_pool = maps.slots.prefix + host32(pool | handle.LOCAL_POOL)
        _add_slots(elements, local_pool, _padded(targets.local))
    if service.external_local:
        elements[handles + host32(pool)] = host32(cluster)


def _padded(targets: Sequence[bytes]) -> list[bytes]:
    return [target + _PAD for target in targets]


def _add_slots(elements: Elements, key: bytes, slots: Sequence[bytes]) -> None:
    elements.update(zip([key + slot for slot in _SLOTS[: len(slots)]], slots, strict=False))


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
    ids = [host32(pool | numbers[target]) for target in slots]
    _add_slots(elements, maps.choices.prefix + host32(pool), ids)
    endpoints = zip(ids, _padded(slots), strict=True)
    elements.update((maps.endpoints.prefix + id_, target) for id_, target in endpoints)
