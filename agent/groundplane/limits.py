"""How much one change of the site may do at once, before somebody has to mean it. Pure.

A branch merged the wrong way, a directory that was moved, ranges changed under running services:
all of them compile, and are held back on every node. The limits are those of the new site, so the
commit that means it says so: `Cluster.spec.changeLimits`.
"""

from collections.abc import Callable, Collection
from typing import Final

from groundplane.model.compiled import Service
from groundplane.snapshot import Key, Snapshot

HELD: Final = "held back: "  # begins why a change is not used
AT_LEAST: Final = 10  # services: what takes away fewer is never held back
_NAMED: Final = 5

Pair = tuple[Service | None, Service | None]


def held_back(old: Snapshot, new: Snapshot, keys: Collection[Key]) -> str:
    """Return why *new*, which differs from *old* in the services *keys*, is not to be used, or ""."""
    pairs = {key: (old.service(key), new.service(key)) for key in keys}
    limits = new.head.change_limits
    reasons = []
    removed = [key for key, (before, after) in pairs.items() if before and not after]
    if len(removed) >= AT_LEAST and _beyond(removed, limits.removed_services, len(old)):
        reasons.append(
            f"{len(removed)} of {len(old)} services would be gone, which is more than "
            f"removedServices ({limits.removed_services} %): {_named(removed)}"
        )
    if _ranges(old) != _ranges(new):
        moved = [key for key, pair in pairs.items() if _is_renumbered(pair)]
        if moved and _beyond(moved, limits.renumbered_services, len(old)):
            reasons.append(
                f"other ranges ({' '.join(_ranges(old))} before, {' '.join(_ranges(new))} now) would "
                f"give other addresses to {len(moved)} of {len(old)} running services, which is "
                f"more than renumberedServices ({limits.renumbered_services} %): "
                f"{_named(moved, lambda key: _addresses(pairs[key]))}"
            )
    if not reasons:
        return ""
    return (
        f"{HELD}{'; '.join(reasons)}. If that is meant, raise it in spec.changeLimits of the "
        "Cluster in the same commit"
    )


def _ranges(snapshot: Snapshot) -> tuple[str, ...]:
    return snapshot.head.service_cidrs


def _beyond(some: Collection[Key], percent: int, of_all: int) -> bool:
    return 100 * len(some) > percent * of_all


def _is_renumbered(pair: Pair) -> bool:
    """Return whether a service loses an address that it had."""
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
