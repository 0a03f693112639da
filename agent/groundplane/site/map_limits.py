"""Limits of the kernel's maps, known here so that a catalog beyond them is rejected by name."""

from typing import Final

MAX_ENDPOINTS: Final = 4931  # of one service, see proxies/nftables/classes.py
WEIGHT_SLOTS: Final = 1024  # that different weights are rounded to, see project/apportionment.py
HASH_SLOTS: Final = 1021  # of a service with consistent hashing: a prime, as jhash is taken modulo
HASH_SEED: Final = 0x67726F75  # of jhash over a client's address, the same on every node
MAX_HASHED_ENDPOINTS: Final = 100  # of such a service: ten slots each, so that each gets a slot
MAX_STICKY_ENDPOINTS: Final = 4096  # of one service with session affinity: 12 bits number them
MAX_AFFINITY_TIMEOUTS: Final = 15  # of a site: 4 bits of a handle tell them apart
