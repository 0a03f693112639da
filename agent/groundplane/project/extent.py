"""Extent of a change: the parts of a state that may differ; all others are skipped."""

from collections.abc import Collection
from dataclasses import dataclass

from groundplane.project.state import NodeKey, PartKey
from groundplane.site.blocks import Key


@dataclass(frozen=True)
class All:
    """Every part may differ."""

    def keys(self, every: Collection[PartKey]) -> Collection[PartKey]:
        """Return the keys of the parts that may differ, from all keys *every*."""
        return every

    def service_keys(self, every: Collection[Key]) -> Collection[Key]:
        """Return the services that may differ, from all services *every*."""
        return every


@dataclass(frozen=True)
class Only:
    """Only these services, the workloads of these nodes, and the base may differ."""

    services: Collection[Key]
    nodes: Collection[NodeKey] = ()

    def keys(self, _every: Collection[PartKey]) -> Collection[PartKey]:
        return [*self.services, *self.nodes]

    def service_keys(self, _every: Collection[Key]) -> Collection[Key]:
        return self.services


@dataclass(frozen=True)
class Repair:
    """Nothing is new: reapply objects that other programs changed, or that were refused."""

    def keys(self, _every: Collection[PartKey]) -> Collection[PartKey]:
        return ()

    def service_keys(self, _every: Collection[Key]) -> Collection[Key]:
        return ()


Extent = All | Only | Repair


def both(one: Extent, other: Extent) -> Extent:
    """Return the extent of both changes together."""
    match one, other:
        case (All(), _) | (_, All()):
            return All()
        case Only(), Only():
            services = {*one.services, *other.services}
            return Only(services, {*one.nodes, *other.nodes})
    return other if isinstance(one, Repair) else one
