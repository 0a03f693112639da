"""The next NodeState after a change of the site or of health, at the cost of the services concerned."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from msgspec.structs import replace as replaced

from groundplane.choose import Failing
from groundplane.model import compiled
from groundplane.project.node import capacities, place_of, project_base, project_service
from groundplane.project.state import NodeBase, NodeState
from groundplane.snapshot import Key, Snapshot


def project_snapshot(snapshot: Snapshot, node: str, failing: Failing) -> NodeState:
    """Return what *node* has to do; GroundplaneError when the site has no such node."""
    site = snapshot.site(node)
    base, place = project_base(site, node), place_of(site, node)
    services = {
        each.key: project_service(each, place, failing) for each in snapshot.every_service()
    }
    return NodeState(base, services)


def project_change(
    state: NodeState, old: Snapshot, new: Snapshot, keys: set[Key], failing: Failing
) -> tuple[NodeState, set[Key] | None]:
    """Return *state*, which was made of *old*, as *new* makes it, and the services that may differ.

    *keys* are those that differ between the two snapshots. None is returned in their place where
    all services may differ, since the node has another zone now.
    """
    node = state.base.name
    if place_of(old.head, node) != place_of(new.head, node):
        return project_snapshot(new, node, failing), None
    base = _base(state.base, old, new)
    return update(replace(state, base=base), new, keys, failing), keys


def _base(known: NodeBase, old: Snapshot, new: Snapshot) -> NodeBase:
    """Return the base that *new* makes; *known*, which is of *old*, itself where it is the same."""
    node = known.name
    same_but_sizes = replaced(new.head, sizes=old.head.sizes) == old.head
    if same_but_sizes and _value(old, node) == _value(new, node):
        capacity = capacities(new.head.sizes)
        return known if capacity == known.capacity else replaced(known, capacity=capacity)
    base = project_base(new.site(node), node)
    return known if base == known else base


def _value(snapshot: Snapshot, node: str) -> bytes:
    """Return the workloads of *node*, still encoded."""
    return snapshot.workloads[node].value if node in snapshot.workloads else b""


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
    """Which services each workload may answer for, by namespace and name."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._services: dict[str, dict[str, tuple[Key, ...]]] = defaultdict(dict)
        for service in snapshot.every_service():
            self._add(service)

    def _add(self, service: compiled.Service) -> None:
        known, alone = self._services[service.namespace], (service.key,)
        for workload in service.endpoints.workloads:
            if workload:
                before = known.get(workload)
                known[workload] = (*before, service.key) if before else alone

    def _remove(self, service: compiled.Service) -> None:
        known = self._services[service.namespace]
        for workload in service.endpoints.workloads:
            if left := tuple(key for key in known.pop(workload, ()) if key != service.key):
                known[workload] = left

    def change(self, old: Snapshot, new: Snapshot, keys: Iterable[Key]) -> None:
        """Take over that the services *keys* are as *new* has them, and no more as *old*."""
        for key in keys:
            if key in old.services:
                self._remove(old.service(key))
            if key in new.services:
                self._add(new.service(key))

    def concerned(self, workloads: Iterable[Key]) -> set[Key]:
        """Return the services that any of *workloads* may answer for."""
        nothing: dict[str, tuple[Key, ...]] = {}
        return {
            key
            for namespace, name in workloads
            for key in self._services.get(namespace, nothing).get(name, ())
        }
