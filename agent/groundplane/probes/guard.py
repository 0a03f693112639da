"""Detects failures that may be this node's own: it may be cut off, and the others well. Pure."""

from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from groundplane.probes.prober import ProbeKey
from groundplane.site.compiled import Probe

SERVICES: Final = 2  # so many at least are concerned; one service may well fail as a whole


def doubtful(
    node: str,
    probes: Mapping[ProbeKey, Probe],
    failing: AbstractSet[ProbeKey],
    stumbling: AbstractSet[ProbeKey],
    fallen: AbstractSet[ProbeKey],
    services_of: Callable[[Collection[ProbeKey]], Collection[object]],
) -> frozenset[ProbeKey]:
    """Return those of *fallen* that *node* should believe only if it reaches something else.

    *fallen* are *failing*, and are still in use; *stumbling* failed their last check. There is doubt
    when of all workloads of other nodes that passed until now more than half fail their last check, and
    those are of several services. Last checks count, and not verdicts, since one workload is always the
    first to fail often enough. What fails on the node itself is never doubted.

    As long as failures are of one service, this costs what fails, however many are probed.
    """

    def is_others(key: ProbeKey) -> bool:
        probe = probes.get(key)
        return probe is not None and probe.node != node and probe.kind != "exec"

    doubted = frozenset(filter(is_others, fallen))
    if not doubted:
        return doubted
    fail = doubted.union(filter(is_others, stumbling - failing))
    if len(services_of(fail)) < SERVICES:
        return frozenset()
    passed = doubted.union(filter(is_others, probes.keys() - failing))
    return doubted if 2 * len(fail) > len(passed) else frozenset()
