"""Limits that the kernel's maps set, known here so that a catalog past them is refused by name."""

from typing import Final

MAX_ENDPOINTS: Final = 4931  # of one service, see dataplanes/nftables/handle.py
