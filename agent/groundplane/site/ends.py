"""What two sequences have in common at their ends, found by comparing slices: C does the work."""

from collections.abc import Sequence
from typing import NamedTuple


class Ends(NamedTuple):
    """How many items at its start and at its end a sequence has in common with another."""

    start: int
    end: int


def common_ends(one: Sequence[bytes], other: Sequence[bytes]) -> Ends:
    """Return what *one* and *other* have in common; no item counts twice."""
    start = _common_start(one, other)
    return Ends(start, _common_start(one[start:][::-1], other[start:][::-1]))


def _common_start(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
