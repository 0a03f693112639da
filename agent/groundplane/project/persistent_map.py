"""An immutable mapping of which a changed copy costs what the change does, not what the whole does."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_SHARDS: Final = 256


class Sharded(Mapping[K, V]):
    """A mapping in shards by the hash of the key; copies share all shards that do not differ."""

    __slots__ = ("_shards",)

    def __init__(self, items: Iterable[tuple[K, V]] = ()) -> None:
        shards: tuple[dict[K, V], ...] = tuple({} for _ in range(_SHARDS))
        for key, value in items:
            shards[hash(key) % _SHARDS][key] = value
        self._shards = shards

    def changed(self, changes: Mapping[K, V | None]) -> "Sharded[K, V]":
        """Return this mapping with *changes*; None removes a key, whether it is there or not."""
        shards = list(self._shards)
        copied: set[int] = set()
        for key, value in changes.items():
            number = hash(key) % _SHARDS
            if number not in copied:
                copied.add(number)
                shards[number] = dict(shards[number])
            if value is None:
                shards[number].pop(key, None)
            else:
                shards[number][key] = value
        new: Sharded[K, V] = Sharded.__new__(Sharded)
        new._shards = tuple(shards)
        return new

    def __getitem__(self, key: K) -> V:
        return self._shards[hash(key) % _SHARDS][key]

    def __iter__(self) -> Iterator[K]:
        return chain.from_iterable(self._shards)

    def __len__(self) -> int:
        return sum(map(len, self._shards))
