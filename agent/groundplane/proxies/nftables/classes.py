"""The classes of a handle in this mode: each is a way to draw a slot number.

Class 62 takes the slot that the client's address hashes to. Classes 1 to 16 draw from exactly that
many slots. The classes above draw from a size that is up to a quarter larger than the number of
slots: a number past the last slot has no element, so the rule does not match and the next rule
draws again (rejection sampling). Five draws and then slot 0 give slot 0 less than 0.04 % of the
connections beyond its share, for any count up to 4,931.

There are few classes, each with one rule that looks up the map, since the kernel walks all rules
bound to a map for every element it adds (nft_add_set_elem): with 126 classes of three rules, adding
an element took twice as long.

The handle's *timeout* is the index of one of the site's affinity timeouts, from 1; 0: no affinity.
"""

from bisect import bisect_left
from typing import Final

from groundplane.proxies.frontends.handle import REFUSE
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
HASH: Final = 62
TIMEOUT_SHIFT: Final = 6


def class_of(slots: int) -> int:
    """Return the class that draws among *slots*; REFUSE if there are none.

    No slot is past MAX_ENDPOINTS: the last class draws among the first ones.
    """
    return bisect_left(SIZES, min(slots, MAX_ENDPOINTS)) + 1 if slots else REFUSE
