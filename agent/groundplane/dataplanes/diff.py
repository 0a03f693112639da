"""`diff`: the change from the actual to the desired objects, for all dataplanes."""

from collections.abc import ItemsView, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Delta(Generic[K, V]):
    """A change as a value. *update* and *delete* also have the previous values.

    *from_nothing*: no object existed before, so the change need not be atomic.
    """

    create: Mapping[K, V] = field(default_factory=dict)
    update: Mapping[K, tuple[V, V]] = field(default_factory=dict)
    delete: Mapping[K, V] = field(default_factory=dict)
    from_nothing: bool = field(default=False, compare=False)

    def __bool__(self) -> bool:
        return bool(self.create or self.update or self.delete)

    def __len__(self) -> int:
        return len(self.create) + len(self.update) + len(self.delete)


class Union(Mapping[K, V]):
    """Several mappings without common keys as one; each is created when first needed."""

    def __init__(self, parts: Iterable[Mapping[K, V]]) -> None:
        self._made: list[Mapping[K, V]] = []
        self._coming = iter(parts)

    def parts(self) -> Iterator[Mapping[K, V]]:
        """Yield the mappings, already created ones first."""
        yield from self._made
        for part in self._coming:
            self._made.append(part)
            yield part

    @cached_property
    def whole(self) -> dict[K, V]:
        """All mappings as one dictionary, whose lookups need no Python call."""
        whole: dict[K, V] = {}
        for part in self.parts():
            whole.update(part)
        return whole

    def __getitem__(self, key: K) -> V:
        return self.whole[key]

    def __contains__(self, key: object) -> bool:
        return key in self.whole

    def __iter__(self) -> Iterator[K]:
        return chain.from_iterable(self.parts())

    def __len__(self) -> int:
        return sum(map(len, self.parts()))

    def __bool__(self) -> bool:
        return any(self.parts())

    def items(self) -> ItemsView[K, V]:
        return _Items(self)


class _Items(ItemsView[K, V]):
    """The items of a union, part by part."""

    _mapping: Union[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return chain.from_iterable(part.items() for part in self._mapping.parts())


def pieces(mapping: Mapping[K, V], size: int) -> Iterator[Mapping[K, V]]:
    """Yield *mapping* in pieces of *size* or slightly more; no part of a union is split."""
    if not isinstance(mapping, Union):
        yield mapping
        return
    piece: list[Mapping[K, V]] = []
    count = 0
    for part in mapping.parts():
        piece.append(part)
        count += len(part)
        if count >= size:
            yield Union(piece)
            piece, count = [], 0
    if piece:
        yield Union(piece)


def diff(there: Mapping[K, V], wanted: Mapping[K, V]) -> Delta[K, V]:
    """Return the change from *there* to *wanted*; empty if they are equal."""
    if not there:
        return Delta(create=wanted, from_nothing=True)
    wanted = wanted.whole if isinstance(wanted, Union) else wanted
    if there == wanted:
        return Delta()
    create = {key: value for key, value in wanted.items() if key not in there}
    delete = {key: value for key, value in there.items() if key not in wanted}
    update = {
        key: (old, wanted[key])
        for key, old in there.items()
        if key in wanted and wanted[key] != old
    }
    return Delta(create, update, delete)


def combine(deltas: Iterable[Delta[K, V]]) -> Delta[K, V]:
    """Return several changes of disjoint parts as one; a key may move between parts."""
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
    """Return *there* after *delta*."""
    kept = {key: value for key, value in there.items() if key not in delta.delete}
    return kept | {key: new for key, (_, new) in delta.update.items()} | dict(delta.create)
