"""`diff`: what has to change from what is there to what is wanted. One for all planes."""

from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Delta(Generic[K, V]):
    """A change as a value. *update* and *delete* carry what was there before."""

    create: Mapping[K, V] = field(default_factory=dict)
    update: Mapping[K, tuple[V, V]] = field(default_factory=dict)
    delete: Mapping[K, V] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.create or self.update or self.delete)

    def __len__(self) -> int:
        return len(self.create) + len(self.update) + len(self.delete)


class Union(Mapping[K, V]):
    """Several mappings without a key in common as one, which is not made before it is needed."""

    def __init__(self, parts: Sequence[Mapping[K, V]]) -> None:
        self._parts = parts

    @cached_property
    def _whole(self) -> dict[K, V]:
        whole: dict[K, V] = {}
        for part in self._parts:
            whole.update(part)
        return whole

    def __getitem__(self, key: K) -> V:
        return self._whole[key]

    def __contains__(self, key: object) -> bool:
        return key in self._whole

    def __iter__(self) -> Iterator[K]:
        return chain.from_iterable(self._parts)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def items(self) -> ItemsView[K, V]:
        return _Items(self, self._parts)


class _Items(ItemsView[K, V]):
    """The items of a union, part by part."""

    def __init__(self, union: Union[K, V], parts: Sequence[Mapping[K, V]]) -> None:
        super().__init__(union)
        self._parts = parts

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return chain.from_iterable([part.items() for part in self._parts])


def diff(there: Mapping[K, V], wanted: Mapping[K, V]) -> Delta[K, V]:
    """Return the change that makes *there* into *wanted*; empty when they are equal."""
    if not there:
        return Delta(create=wanted)
    create = {key: value for key, value in wanted.items() if key not in there}
    delete = {key: value for key, value in there.items() if key not in wanted}
    update = {
        key: (old, wanted[key])
        for key, old in there.items()
        if key in wanted and wanted[key] != old
    }
    return Delta(create, update, delete)


def combine(deltas: Iterable[Delta[K, V]]) -> Delta[K, V]:
    """Return one change for several of disjoint parts, in which a key may move between parts."""
    create: dict[K, V] = {}
    update: dict[K, tuple[V, V]] = {}
    delete: dict[K, V] = {}
    for delta in deltas:
        create.update(delta.create)
        update.update(delta.update)
        delete.update(delta.delete)
    for key in create.keys() & delete.keys():
        old, new = delete.pop(key), create.pop(key)
        if old != new:
            update[key] = (old, new)
    return Delta(create, update, delete)


def patch(there: Mapping[K, V], delta: Delta[K, V]) -> dict[K, V]:
    """Return *there* as it is once *delta* is written."""
    kept = {key: value for key, value in there.items() if key not in delta.delete}
    return kept | {key: new for key, (_, new) in delta.update.items()} | dict(delta.create)
