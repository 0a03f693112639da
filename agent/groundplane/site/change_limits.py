"""Limits of one change of the site; a larger change needs explicit consent. Pure.

A branch merged the wrong way, a moved directory, ranges changed under running services, a label
that no selector matches any more: all of these compile, and are held back on every node. The limits
are those of the new site, so an intended change raises them in the same commit:
`Cluster.spec.changeLimits`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from groundplane.site.blocks import Key
from groundplane.site.compiled import ChangeLimits, Service
from groundplane.site.snapshot import Snapshot

AT_LEAST: Final = 10  # services or endpoints: a change that removes fewer is never held back
AT_LEAST_EMPTIED: Final = 3  # services
_NAMED: Final = 5

Pair = tuple[Service | None, Service | None]


def held_back(old: Snapshot, new: Snapshot, keys: Collection[Key]) -> str:
    """Return why *new*, which differs from *old* in the services *keys*, is held back, or ""."""
    pairs = {key: (old.service(key), new.service(key)) for key in keys}
    limits = new.head.change_limits
    reasons = []
    removed = [key for key, (before, after) in pairs.items() if before and not after]
    if len(removed) >= AT_LEAST and _beyond(removed, limits.removed_services, old.service_count):
        reasons.append(
            f"{len(removed)} of {old.service_count} services would be gone, which is more than "
            f"removedServices ({limits.removed_services} %): {_named(removed)}"
        )
    if _ranges(old) != _ranges(new):
        moved = [key for key, pair in pairs.items() if _is_renumbered(pair)]
        if moved and _beyond(moved, limits.renumbered_services, old.service_count):
            reasons.append(
                f"other ranges ({' '.join(_ranges(old))} before, {' '.join(_ranges(new))} now) would "
                f"give other addresses to {len(moved)} of {old.service_count} running services, which is "
                f"more than renumberedServices ({limits.renumbered_services} %): "
                f"{_named(moved, lambda key: _addresses(pairs[key]))}"
            )
    reasons += _of_endpoints(old, pairs, limits)
    if not reasons:
        return ""
    return (
        f"held back: {'; '.join(reasons)}. If that is meant, raise it in spec.changeLimits of the "
        "Cluster in the same commit"
    )


def _of_endpoints(old: Snapshot, pairs: Mapping[Key, Pair], limits: ChangeLimits) -> Iterator[str]:
    """Yield the exceeded limits for endpoints of services that stay."""
    counts = {
        key: (_serving(before), _serving(after))
        for key, (before, after) in pairs.items()
        if before and after
    }
    lost = sum(max(0, before - after) for before, after in counts.values())
    emptied = [key for key, (before, after) in counts.items() if before and not after]
    if lost < AT_LEAST and len(emptied) < AT_LEAST_EMPTIED:
        return  # the common case: the whole site need not be counted
    every = [count for each in old.every_service() if (count := _serving(each))]
    if lost >= AT_LEAST and 100 * lost > limits.removed_endpoints * sum(every):
        yield (
            f"{lost} of {sum(every)} endpoints would be gone, which is more than "
            f"removedEndpoints ({limits.removed_endpoints} %)"
        )
    if len(emptied) >= AT_LEAST_EMPTIED and _beyond(emptied, limits.emptied_services, len(every)):
        yield (
            f"{len(emptied)} of {len(every)} services would lose their last endpoint, which is more "
            f"than emptiedServices ({limits.emptied_services} %): {_named(emptied)}"
        )


def _serving(service: Service) -> int:
    """Return how many endpoints of *service* take connections, or would as a last resort, by its
    documents."""
    endpoints = service.endpoints
    if service.publish_not_ready or not endpoints.conditions:
        return len(endpoints)
    return sum(
        endpoints.is_ready(index) or endpoints.is_draining(index) for index in range(len(endpoints))
    )


def _ranges(snapshot: Snapshot) -> tuple[str, ...]:
    return snapshot.head.service_cidrs


def _beyond(some: Collection[Key], percent: int, of_all: int) -> bool:
    return 100 * len(some) > percent * of_all


def _is_renumbered(pair: Pair) -> bool:
    """Return whether a service loses an address."""
    before, after = pair
    return bool(before and after and not {*before.cluster_ips} <= {*after.cluster_ips})


def _addresses(pair: Pair) -> str:
    before, after = pair
    assert before is not None  # noqa: S101
    assert after is not None  # noqa: S101
    return f" ({' '.join(before.cluster_ips)} -> {' '.join(after.cluster_ips) or 'none'})"


def _named(keys: Collection[Key], more: Callable[[Key], str] = lambda _: "") -> str:
    shown = [f"{'/'.join(key)}{more(key)}" for key in sorted(keys)[:_NAMED]]
    return ", ".join(shown) + (", ..." if len(keys) > _NAMED else "")
