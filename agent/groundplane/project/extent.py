"""How much of a state a change may concern, so that nothing else is looked at."""

from collections.abc import Collection
from dataclasses import dataclass

from groundplane.site.blocks import Key


@dataclass(frozen=True)
class All:
    """Every part may be another one."""

    def keys(self, every: Collection[Key]) -> Collection[Key]:
        """Return the keys of the parts that may differ, of *every* one there is."""
        return every


@dataclass(frozen=True)
class Only:
    """No other parts are new than *parts*, and perhaps the base."""

    parts: Collection[Key]

    def keys(self, _every: Collection[Key]) -> Collection[Key]:
        return self.parts


@dataclass(frozen=True)
class Repair:
    """Nothing is new: what others changed, or what was refused, is applied again."""

    def keys(self, _every: Collection[Key]) -> Collection[Key]:
        return ()


Extent = All | Only | Repair


def both(one: Extent, other: Extent) -> Extent:
    """Return what a change is that makes both."""
    match one, other:
        case (All(), _) | (_, All()):
            return All()
        case Only(), Only():
            return Only({*one.parts, *other.parts})
    return other if isinstance(one, Repair) else one
