"""The handle: 32 bits that say which pool of endpoints a service port has and how to choose.

    31                    12  11     10          9      6  5     0
    pool (20 bits)          | local | restricted | timeout | class

- *pool*: even for all endpoints of a service port, odd for those of this node.
- *local*: an address from outside whose policy is Local; traffic of the node and its workloads
  goes by the even pool all the same.
- *restricted*: only source ranges of the pool may come.
- *timeout*: which of the site's affinity timeouts, counted from 1; 0: no affinity.
- *class*: a way to draw a slot number.

Class 0 refuses, 62 takes the slot that the client's address hashes to, 63 drops. Classes 1 to 16
draw from exactly that many slots. The classes above draw from a size that is up to a quarter larger
than the number of slots: a number behind the last slot has no element, the rule does not match, and
the next draw is made (rejection sampling). Five draws and then slot 0 give slot 0 less than 0.04 %
of the connections beyond its share, for any count up to 4,931.

Few classes, and one rule each that looks into the map, since the kernel walks all the rules bound
to a map for every element it adds (nft_add_set_elem): with 126 classes of three rules, adding an
element took twice as long.
"""

import sys
from bisect import bisect_left
from typing import Final

from groundplane.site.map_limits import MAX_ENDPOINTS

EXACT: Final = 16
DRAWS: Final = 5
_GROWTH: Final = 1.25


def _sizes() -> tuple[int, ...]:
    sizes = list(range(1, EXACT + 1))
    while sizes[-1] < MAX_ENDPOINTS:
        sizes.append(int(sizes[-1] * _GROWTH))
    return tuple(sizes)


SIZES: Final = _sizes()
REFUSE, BALANCED, HASH, DROP = 0, 1, 62, 63  # BALANCED: by IPVS, which knows no class

POOL_BITS: Final = 12  # below the pool
LOCAL_POOL: Final = 1 << POOL_BITS
LOCAL: Final = 0x800
RESTRICTED: Final = 0x400
TIMEOUT_SHIFT: Final = 6
CLASS_MASK: Final = 0x3F


def class_of(slots: int) -> int:
    """Return the class that draws among *slots*; REFUSE when there is none.

    Behind MAX_ENDPOINTS there is no slot: the last class draws among the first ones.
    """
    return bisect_left(SIZES, min(slots, MAX_ENDPOINTS)) + 1 if slots else REFUSE


def class_in(data: bytes) -> int:
    """Return the class of the handle that is an element's *data*."""
    return int.from_bytes(data, sys.byteorder) & CLASS_MASK


def pool_of(handle: int) -> int:
    """Return the pool in *handle*, shifted as it is there: the first part of the keys of slots."""
    return handle >> POOL_BITS << POOL_BITS


def is_balanced(handle: int) -> bool:
    """Return whether *handle* leads to IPVS."""
    return handle & CLASS_MASK == BALANCED
