"""Slots: numbers shared out among endpoints; a connection draws one. Pure, whole numbers only.

A service port has numbered slots for its endpoints. With random draws, each endpoint has slots in
proportion to its weight (`share_out`). With consistent hashing, the client's address selects the
slot, and each slot belongs to the endpoint with the highest score for it (`hash_table`).
"""

import hashlib
import struct
from collections.abc import Sequence
from functools import lru_cache, partial
from math import gcd, log
from typing import Final

from groundplane.site.map_limits import HASH_SLOTS, MAX_ENDPOINTS, WEIGHT_SLOTS
from groundplane.site.ordered_hashing import ordered_numbers

_WORDS: Final = struct.Struct(f">{HASH_SLOTS}I")


def share_out(weights: Sequence[int]) -> list[int]:
    """Return the number of slots of each endpoint; one each if all weights are equal.

    Exact if the weights, divided by their greatest common divisor, sum to at most WEIGHT_SLOTS or
    four slots per endpoint; else rounded to that many slots, by largest remainder, with at least
    one slot for each weight above 0. If all weights are 0, they count as equal: something must
    answer.
    """
    total = sum(weights)
    if not total:
        return [1] * len(weights)
    common = gcd(*weights)
    size = min(max(WEIGHT_SLOTS, 4 * len(weights)), MAX_ENDPOINTS)
    if total // common <= max(size, len(weights)):
        return [weight // common for weight in weights]
    return _rounded(weights, size)


def _rounded(weights: Sequence[int], size: int) -> list[int]:
    """Return *size* slots shared out by *weights*; at most *size* of the weights are above 0."""
    shares = [min(weight, 1) for weight in weights]
    heavy = [index for index, weight in enumerate(weights) if weight]
    left, total = size, sum(weights)
    # Endpoints with a share below one slot get one; the others share the remaining slots.
    while light := [index for index in heavy if weights[index] * left < total]:
        left, total = left - len(light), total - sum(weights[index] for index in light)
        gone = set(light)
        heavy = [index for index in heavy if index not in gone]
    for index in heavy:
        shares[index] = weights[index] * left // total
    heavy.sort(key=lambda index: (-(weights[index] * left % total), index))
    for index in heavy[: left - sum(shares[index] for index in heavy)]:
        shares[index] += 1
    return shares


# Appended to a target before hashing, as in the first version: another hash would move clients.
_HASHED: Final = bytes(2)


def hash_table(names: Sequence[bytes], weights: Sequence[int]) -> list[int]:
    """Return the index into *names* for each of the HASH_SLOTS slots (rendezvous hashing).

    A slot belongs to the endpoint with the highest hash for it, so a removed endpoint leaves its
    own slots to the others and moves no other slot (Thaler and Ravishankar, 1998); weights as in
    "weighted rendezvous hashing" (Schindelhauer and Schomaker, 2005).
    """
    if not any(weights):
        weights = [1] * len(names)
    open_ = [index for index, weight in enumerate(weights) if weight]
    if len({weights[index] for index in open_}) == 1:
        wants = [_wishes(names[index]) for index in open_]
        return [open_[max(zip(column, range(len(open_)), strict=True))[1]]
                for column in zip(*wants, strict=True)]  # fmt: skip
    scored = [_scores(names[index], weights[index]) for index in open_]
    return [open_[max(zip(column, range(len(open_)), strict=True))[1]]
            for column in zip(*scored, strict=True)]  # fmt: skip


@lru_cache(maxsize=4096)
def _wishes(name: bytes) -> tuple[int, ...]:
    """Return 32 bits for each slot: the score of the endpoint *name* for that slot."""
    words: tuple[int, ...] = _WORDS.unpack(hashlib.shake_128(name + _HASHED).digest(4 * HASH_SLOTS))
    return words


def _scores(name: bytes, weight: int) -> list[float]:
    return [-weight / log((word + 0.5) / 2**32) for word in _wishes(name)]


def numbers(names: Sequence[bytes], size: int) -> dict[bytes, int]:
    """Return a distinct number below *size* for each of *names*, independent of their order.

    Adding or removing a name changes the number of another only where their hashes collide.
    """
    return ordered_numbers(names, partial(_home, size=size), size)


def _home(name: bytes, size: int) -> int:
    return int.from_bytes(hashlib.blake2b(name + _HASHED, digest_size=4).digest(), "big") % size
