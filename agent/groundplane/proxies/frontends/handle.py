"""The handle: 32 bits that say which pool of endpoints a service port has and how to choose.

    31                    12  11     10          9      6  5     0
    pool (20 bits)          | local | restricted | timeout | class

- *pool*: even for all endpoints of a service port, odd for those of this node.
- *local*: an external address whose policy is Local; traffic from the node and its workloads
  still uses the even pool.
- *restricted*: only the pool's source ranges are allowed.
- *timeout* and *class*: how the proxy mode chooses among them. Class 0 refuses, class 63 drops.
"""

from typing import Final

REFUSE, DROP = 0, 63

POOL_BITS: Final = 12  # below the pool
LOCAL_POOL: Final = 1 << POOL_BITS
LOCAL: Final = 0x800
RESTRICTED: Final = 0x400
CLASS_MASK: Final = 0x3F


def pool_of(handle: int) -> int:
    """Return the pool bits of *handle*, unshifted: the first part of the slots' keys."""
    return handle >> POOL_BITS << POOL_BITS
