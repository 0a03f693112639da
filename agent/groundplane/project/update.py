"""The next NodeState after a change of the site or of health, at the cost of the dirty services."""

from collections.abc import Iterable
from dataclasses import replace

from msgspec.structs import replace as replaced

from groundplane.project.extent import All, Extent, Only
from groundplane.project.node import (
    capacities,
    place_of,
    project_base,
    project_service,
)
from groundplane.project.persistent_map import changed
from groundplane.project.select_endpoints import Failing
from groundplane.project.state import NodeBase, NodeKey, NodeState, NodeWorkloads, VirtualService
from groundplane.site.blocks import Key
from groundplane.site.snapshot import Snapshot, changed_workloads


def project_snapshot(snapshot: Snapshot, node: str, failing: Failing) -> NodeState:
    """Return the state of *node*; GroundplaneError if the site has no such node."""
    return project_services(snapshot, project_base(snapshot.site(node), node), failing)


def project_services(snapshot: Snapshot, base: NodeBase, failing: Failing) -> NodeState:
    """Return the state of the node of *base*, which was made from *snapshot*."""
    place = place_of(snapshot.head, base.name)
    services = (project_service(each, place, failing) for each in snapshot.every_service())
    return NodeState.of(base, services, map(NodeWorkloads, snapshot.workload_blocks()))


def project_change(
    state: NodeState, old: Snapshot, new: Snapshot, keys: set[Key], failing: Failing
) -> tuple[NodeState, Extent]:
    """Return *state*, made from *old*, updated to *new*, and the parts that may differ.

    *keys* are the services that differ between the two snapshots. All parts may differ if the zone
    of the node has changed.
    """
    node = state.base.name
    if place_of(old.head, node) != place_of(new.head, node):
        return project_snapshot(new, node, failing), All()
    workloads = {
        NodeKey(node): NodeWorkloads(block) if block else None
        for node, block in changed_workloads(old, new).items()
    }
    known = replace(
        state, base=_base(state.base, old, new), workloads=changed(state.workloads, workloads)
    )
    return update(known, new, keys, failing), Only(keys, workloads.keys())


def _base(known: NodeBase, old: Snapshot, new: Snapshot) -> NodeBase:
    """Return the base made from *new*; *known*, the base made from *old*, if both are equal."""
    node = known.name
    same_but_sizes = new.head is old.head or replaced(new.head, sizes=old.head.sizes) == old.head
    if same_but_sizes and old.workloads(node) == new.workloads(node):
        capacity = capacities(new.head.sizes)
        return known if capacity == known.capacity else replaced(known, capacity=capacity)
    base = project_base(new.site(node), node)
    return known if base == known else base


def update(
    state: NodeState, snapshot: Snapshot, keys: Iterable[Key], failing: Failing
) -> NodeState:
    """Return *state* with the services *keys* projected again from *snapshot* and *failing*."""
    place = place_of(snapshot.head, state.base.name)
    changes: dict[Key, VirtualService | None] = {}
    for key in keys:
        service = snapshot.service(key)
        changes[key] = project_service(service, place, failing) if service else None
    return replace(state, services=changed(state.services, changes))
