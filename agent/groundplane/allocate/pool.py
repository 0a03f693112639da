"""A pool of numbers (addresses, subnets or ports of a range) and the rule for picking one.

The rule is a pure function of the taken numbers. The first candidate is a hash of the requester,
so that two branches seldom pick the same number; the search then goes upwards. Kubernetes' static
band (KEP-3070) is left for explicit requests. Released numbers are reused last, longest released
first.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field


class Outside(ValueError):
    """A number is outside the range of its pool."""


@dataclass
class Pool:
    """Numbers *first* to *last*; the lowest *band* of them are picked when the rest is full.

    A holder is anything that has a name as text. Numbers in *avoided* are never picked, but a
    holder that requests one gets it.
    """

    name: str
    first: int
    last: int
    band: int = 0
    holders: dict[int, object] = field(default_factory=dict)
    released: dict[int, int] = field(default_factory=dict)
    avoided: frozenset[int] = frozenset()

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def gives(self, number: int, holder: object) -> bool:
        """Give *number* to *holder* if it is of this range and nobody has it; return whether it is."""
        if not self.first <= number <= self.last or number in self.holders:
            return False
        self.holders[number] = holder
        return True

    def take(self, number: int, holder: object) -> None:
        """Give *number* to *holder*.

        ValueError names the holder that already has it. Outside names the range.
        """
        if number not in self:
            raise Outside(f"is outside {self.name}")
        other = self.holders.setdefault(number, holder)
        if other != holder:
            raise ValueError(f"is taken by {other}")

    def pick(self, holder: object, seed: str) -> int:
        """Give *holder* a free number, the same for the same *seed* and the same taken numbers."""
        found = self.never_used(seed)
        if found is None:
            found = longest_released(self.reusable())
        if found is None:
            raise ValueError(f"{self.name} is full: all {self.last - self.first + 1} are taken")
        self.holders[found] = holder
        return found

    def never_used(self, seed: str) -> int | None:
        """Return the number for *seed* that was never held, or None when there is none."""
        start, number = self.first + self.band, _hash(seed)
        found = self._scan(start, self.last, number)
        return self._scan(self.first, start - 1, number) if found is None else found

    def reusable(self) -> Iterator[tuple[int, int]]:
        """Yield turn and number of each released number that is free."""
        for number, turn in self.released.items():
            if number in self and number not in self.holders and number not in self.avoided:
                yield turn, number

    def _scan(self, first: int, last: int, seed: int) -> int | None:
        size = last - first + 1
        if size <= 0:
            return None
        begin = seed % size
        # The scan meets at most this many unavailable numbers.
        used: tuple[Collection[int], ...] = (self.holders, self.released, self.avoided)
        for step in range(min(size, sum(len(each) for each in used) + 1)):
            number = first + (begin + step) % size
            if not any(number in each for each in used):
                return number
        return None


def _hash(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")


def longest_released(reusable: Iterable[tuple[int, int]]) -> int | None:
    """Return the number that was released first, or None."""
    return min(reusable, default=(0, None))[1]


def band_of(size: int) -> int:
    """Return the static band of a range of *size* (ipallocator's calculateRangeOffset)."""
    return 0 if size <= 16 else min(max(16, size // 16), 256)


def band_of_ports(size: int) -> int:
    """Return the static band of *size* node ports (portallocator's calculateRangeOffset)."""
    return 0 if size <= 16 else min(max(16, size // 32), 128)


def merge_released(released: Mapping[str, int], freed: Iterable[str]) -> dict[str, int]:
    """Return *released* with *freed* appended in the given order."""
    turn = max(released.values(), default=0)
    return {**released, **{text: turn + 1 + index for index, text in enumerate(freed)}}
