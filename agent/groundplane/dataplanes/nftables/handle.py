"""The handle: 32 bits that say which pool of endpoints a service port has and how to choose.

    pool (20 bits) | 0 (5 bits, for what is to come) | class (7 bits)

A class is a way to draw a slot number. Class 0 refuses. Classes 1 to 16 draw from exactly that
many slots. The classes above draw from a size that is up to a quarter larger than the number of
endpoints: a number behind the last endpoint has no element, the rule does not match, and the next
draw is made (rejection sampling). Five draws and then slot 0 give slot 0 less than 0.04 % of the
connections beyond its share, for any count up to 4,931.

Few classes, and one rule each that looks into the map, since the kernel walks all the rules bound
to a map for every element it adds (nft_add_set_elem): with 126 classes of three rules, adding an
element took twice as long.
"""

from bisect import bisect_left
from typing import Final

from groundplane.model.limits import MAX_ENDPOINTS

EXACT: Final = 16
DRAWS: Final = 5
_GROWTH: Final = 1.25


def _sizes() -> tuple[int, ...]:
    sizes = list(range(1, EXACT + 1))
    while sizes[-1] < MAX_ENDPOINTS:
        sizes.append(int(sizes[-1] * _GROWTH))
    return tuple(sizes)


SIZES: Final = _sizes()
CLASSES: Final = len(SIZES)


def class_of(endpoints: int) -> int:
    """Return the class that draws among *endpoints* slots; 0 when there is none.

    Behind MAX_ENDPOINTS there is no slot: the last class draws among the first ones.
    """
    return bisect_left(SIZES, min(endpoints, MAX_ENDPOINTS)) + 1 if endpoints else 0


def handle(pool: int, endpoints: int) -> int:
    """Return the handle of *pool* with that many *endpoints*."""
    return pool << 12 | class_of(endpoints)
