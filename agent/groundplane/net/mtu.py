"""The size of packets on a link."""

from typing import Final

DEFAULT_MTU: Final = 1500  # bytes, Ethernet's
