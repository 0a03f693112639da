"""How much of a state a change may concern, so that nothing else is looked at."""

from collections.abc import Collection
from dataclasses import dataclass

from groundplane.project.state import NodeKey, PartKey
from groundplane.site.blocks import Key


@dataclass(frozen=True)
class All:
    """Every part may be another one."""

    def keys(self, every: Collection[PartKey]) -> Collection[PartKey]:
        """Return the keys of the parts that may differ, of *every* one there is."""
        return every

    def service_keys(self, every: Collection[Key]) -> Collection[Key]:
        """Return the services that may differ, of *every* one there is."""
        return every


@dataclass(frozen=True)
class Only:
    """No other services, and workloads of no other nodes, are new; and perhaps the base."""

    services: Collection[Key]
    nodes: Collection[NodeKey] = ()

    def keys(self, _every: Collection[PartKey]) -> Collection[PartKey]:
        return [*self.services, *self.nodes]

    def service_keys(self, _every: Collection[Key]) -> Collection[Key]:
        return self.services


@dataclass(frozen=True)
class Repair:
    """Nothing is new: what others changed, or what was refused, is applied again."""

    def keys(self, _every: Collection[PartKey]) -> Collection[PartKey]:
        return ()

    def service_keys(self, _every: Collection[Key]) -> Collection[Key]:
        return ()


Extent = All | Only | Repair


def both(one: Extent, other: Extent) -> Extent:
    """Return what a change is that makes both."""
    match one, other:
        case (All(), _) | (_, All()):
            return All()
        case Only(), Only():
            services = {*one.services, *other.services}
            return Only(services, {*one.nodes, *other.nodes})
    return other if isinstance(one, Repair) else one
