"""The next NodeState after a change of the site or of health, at the cost of the services concerned."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from groundplane.project.node import place_of, project_base, project_service
from groundplane.project.state import NodeState
from groundplane.resolve import Failing
from groundplane.snapshot import Key, Snapshot, changed


def project_snapshot(snapshot: Snapshot, node: str, failing: Failing) -> NodeState:
    """Return what *node* has to do; GroundplaneError when the site has no such node."""
    site = snapshot.site(node)
    base, place = project_base(site, node), place_of(site, node)
    services = {
        each.key: project_service(each, place, failing) for each in snapshot.every_service()
    }
    return NodeState(base, services)


def project_change(
    state: NodeState, old: Snapshot, new: Snapshot, failing: Failing
) -> tuple[NodeState, set[Key] | None]:
    """Return *state*, which was made of *old*, as *new* makes it, and the services that may differ.

    None in their place where all of them may, since the node has another zone now.
    """
    node = state.base.name
    if place_of(old.head, node) != place_of(new.head, node):
        return project_snapshot(new, node, failing), None
    base = project_base(new.site(node), node)
    kept = replace(state, base=state.base if base == state.base else base)
    keys = changed(old, new)
    return update(kept, new, keys, failing), keys


def update(
    state: NodeState, snapshot: Snapshot, keys: Iterable[Key], failing: Failing
) -> NodeState:
    """Return *state* with the services *keys* as *snapshot* and *failing* make them."""
    place = place_of(snapshot.head, state.base.name)
    services = dict(state.services)
    for key in keys:
        if key in snapshot.services:
            services[key] = project_service(snapshot.service(key), place, failing)
        else:
            services.pop(key, None)
    return replace(state, services=services)


class WorkloadIndex:
    """Which services each workload may answer for."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._services: dict[Key, tuple[Key, ...]] = {}
        found: dict[Key, list[Key]] = defaultdict(list)
        for service in snapshot.every_service():
            for workload in service.endpoints.workloads:
                if workload:
                    found[service.namespace, workload].append(service.key)
        self._services = {workload: tuple(keys) for workload, keys in found.items()}

    def concerned(self, workloads: Iterable[Key]) -> set[Key]:
        """Return the services that any of *workloads* may answer for."""
        return {key for each in workloads for key in self._services.get(each, ())}
