"""A changed copy of an immutable mapping, at the cost of the change and not of the whole."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

from immutables import Map

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def changed(mapping: Map[K, V], changes: Mapping[K, V | None]) -> Map[K, V]:
    """Return *mapping* with *changes*; None removes a key, whether it is there or not."""
    new = mapping.mutate()
    for key, value in changes.items():
        if value is None:
            new.pop(key, None)
        else:
            new[key] = value
    return new.finish()
