"""Addresses: allocated once, kept in a lock file beside the catalog, never renumbered."""

from groundplane.allocate.allocation import Allocations, allocate, require_current
from groundplane.allocate.lock import LOCK_NAME, Lock, format_lock, parse_lock

__all__ = [
    "LOCK_NAME",
    "Allocations",
    "Lock",
    "allocate",
    "format_lock",
    "parse_lock",
    "require_current",
]
