"""The maximum number of elements of a site's services in the kernel's maps. Pure."""

from collections.abc import Iterable
from typing import Final

from groundplane.site.compiled import Service, Sizes
from groundplane.site.map_limits import HASH_SLOTS, WEIGHT_SLOTS

RANGE_STEP: Final = 4  # source ranges are kept in prefix lengths that are multiples of this


def sizes(services: Iterable[Service]) -> Sizes:
    """Return the sizes for *services*: of one family, on any node, for any state of health."""
    ports = addresses = external = slots = sticky = ranges = 0
    for each in services:
        if not each.cluster_ips:
            continue
        count = len(each.ports)
        ports += count
        addresses += 1 + len(each.external_ips) + len(each.load_balancer_ips)
        external += count * (1 + len(each.external_ips) + len(each.load_balancer_ips))
        own = count * slots_of(each) * (1 + (each.internal_local or each.external_local))
        if each.affinity_seconds:
            sticky += own
        else:
            slots += own
        if each.source_ranges:
            # These addresses themselves may also be allowed sources (project/sources.py).
            parts = sum(map(_parts, each.source_ranges)) + len(each.load_balancer_ips)
            ranges += count * parts
    return Sizes(ports, addresses, external, slots, sticky, ranges)


def slots_of(service: Service) -> int:
    """Return the maximum number of slots of each port of *service*."""
    if service.consistent_hash:
        return HASH_SLOTS
    count, weights = len(service.endpoints), service.endpoints.weights
    # Any subset of the endpoints may be ready, and can have more slots than all together.
    return max(min(sum(weights), max(WEIGHT_SLOTS, 4 * count)), count, 1)


def _parts(cidr: str) -> int:
    """Return the number of ranges of a stored length that make up *cidr*."""
    return 1 << -int(cidr.partition("/")[2]) % RANGE_STEP
