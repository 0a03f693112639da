"""Whether failures are this node's own: it may be cut off, and all others as well as before. Pure."""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from groundplane.model.compiled import Probe
from groundplane.probes.prober import Key, Verdict

SERVICES: Final = 2  # so many at least are concerned; one service may well fail as a whole


def doubtful(
    node: str,
    probes: Mapping[Key, Probe],
    verdicts: Mapping[Key, Verdict],
    fallen: Collection[Key],
    services_of: Callable[[Collection[Key]], Collection[object]],
) -> frozenset[Key]:
    """Return those of *fallen* that *node* should not believe unless it reaches something else.

    *fallen* fail, and are still in use. There is doubt when of all workloads of other nodes that
    passed until now more than half fail their last check, and those are of several services. Last
    checks count, and not verdicts, since one workload is always the first to fail often enough.
    What fails on the node itself is never doubted.
    """
    others = {key for key, probe in probes.items() if probe.node != node and probe.kind != "exec"}
    doubted = others.intersection(fallen)
    if not doubted:
        return frozenset()
    passed = {
        key for key in others if key in doubted or (key in verdicts and verdicts[key].passing)
    }
    fail = {key for key in passed if key in doubted or verdicts[key].failures}
    if 2 * len(fail) <= len(passed) or len(services_of(fail)) < SERVICES:
        return frozenset()
    return frozenset(doubted)
