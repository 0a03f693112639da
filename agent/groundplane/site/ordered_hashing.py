"""Ordered hashing with linear probing (Amble and Knuth, 1974): numbers that depend on a set alone.

Of two keys with the same home number, the smaller key gets it, and the other takes the next one. So
the order of insertion does not matter, and adding or removing a key changes another key's number
only if their hashes collide.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

K = TypeVar("K", bound=Any)


def ordered_numbers(keys: Iterable[K], home: Callable[[K], int], size: int) -> dict[K, int]:
    """Return a distinct number below *size* for each of *keys*; *home* gives the preferred one.

    There are at most *size* different keys.
    """
    holders: dict[int, K] = {}
    for new in keys:
        key, number = new, home(new)
        while (holder := holders.get(number)) is not None:
            if key == holder:
                break
            if key < holder:
                holders[number], key = key, holder
            number = (number + 1) % size
        holders[number] = key
    return {key: number for number, key in holders.items()}
