"""Numbers of service ports: each port's pool in the kernel's maps.

The numbers are a pure function of the set of ports (`site.ordered_hashing`), so that every plan and
every restart computes the same numbers.
"""

from collections.abc import Iterable
from zlib import crc32

from groundplane.site.ordered_hashing import ordered_numbers

POOLS = 1 << 19  # 20 bits in a handle, of which the lowest tells cluster from local endpoints
_Key = tuple[str, str, str, int]  # namespace, service, protocol, port


def number_pools(keys: Iterable[_Key]) -> dict[_Key, int]:
    """Return an even number below 2**20 for each of *keys*, all different."""
    return {key: number << 1 for key, number in ordered_numbers(keys, _home, POOLS).items()}


def _home(key: _Key) -> int:
    namespace, name, protocol, port = key
    return crc32(f"{namespace}/{name}/{protocol}/{port}".encode()) % POOLS
