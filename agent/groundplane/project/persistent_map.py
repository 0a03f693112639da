"""Changed copies of an immutable mapping, at a cost proportional to the change."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

from immutables import Map

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def changed(mapping: Map[K, V], changes: Mapping[K, V | None]) -> Map[K, V]:
    """Return *mapping* with *changes*; None removes a key, even a missing one."""
    new = mapping.mutate()
    for key, value in changes.items():
        if value is None:
            new.pop(key, None)
        else:
            new[key] = value
    return new.finish()
