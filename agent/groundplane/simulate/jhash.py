"""Bob Jenkins' hash as Linux has it (include/linux/jhash.h), on a little-endian machine.

With it a client's slot of a service with consistent hashing can be told without asking a kernel.
"""

import struct
from typing import Final

_INITIAL: Final = 0xDEADBEEF
_MASK: Final = 0xFFFFFFFF


def slot_of(client: bytes, seed: int, slots: int) -> int:
    """Return what `jhash ADDRESS mod slots seed SEED` of nft(8) gives for the packed *client*."""
    return jhash(client, seed) * slots >> 32  # the kernel scales instead of dividing


def jhash(data: bytes, seed: int) -> int:
    """Return the 32-bit hash of *data*, whose length is a multiple of 4 and not 0."""
    words: tuple[int, ...] = struct.unpack(f"<{len(data) // 4}I", data)
    a = b = c = (_INITIAL + len(data) + seed) & _MASK
    while len(words) > 3:
        a, b, c = _mix((a + words[0]) & _MASK, (b + words[1]) & _MASK, (c + words[2]) & _MASK)
        words = words[3:]
    first, second, third = (*words, 0, 0)[:3]
    a, b, c = (a + first) & _MASK, (b + second) & _MASK, (c + third) & _MASK
    for by in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotate(b, by)) & _MASK
        a, b, c = b, c, a  # each step changes one of the three, in turn
    return b


def _rotate(word: int, by: int) -> int:
    return (word << by | word >> (32 - by)) & _MASK


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for by in (4, 6, 8, 16, 19, 4):
        a, c = ((a - c) & _MASK) ^ _rotate(c, by), (c + b) & _MASK
        a, b, c = b, c, a
    return a, b, c
