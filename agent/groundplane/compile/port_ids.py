"""Numbers for service ports: which pool of the kernel's maps each one has.

The numbers are a pure function of the set of ports, whatever their order, so that every plan and
every restart finds the same ones; and adding or removing a port moves another's number only when
their hashes collide. It is ordered hashing with linear probing (Amble and Knuth, 1974): of two
ports that want the same number the one with the smaller key has it, and the other goes on.
"""

from collections.abc import Iterable
from zlib import crc32

POOLS = 1 << 19  # 20 bits in a handle, of which the lowest tells cluster from local endpoints
_Key = tuple[str, str, str, int]  # namespace, service, protocol, port


def number_pools(keys: Iterable[_Key]) -> dict[_Key, int]:
    """Return an even number below 2**20 for each of *keys*, all different."""
    slots: dict[int, _Key] = {}
    for new in keys:
        key, slot = new, _home(new)
        while (holder := slots.get(slot)) is not None:
            if key < holder:
                slots[slot], key = key, holder
            slot = (slot + 1) % POOLS
        slots[slot] = key
    return {key: slot << 1 for slot, key in slots.items()}


def _home(key: _Key) -> int:
    namespace, name, protocol, port = key
    return crc32(f"{namespace}/{name}/{protocol}/{port}".encode()) % POOLS
