"""CAP_NET_ADMIN, and who gets it: the agent itself, and nft while it runs; no other child.

capabilities(7): a capability reaches the children of a process that is not root only while it is
in the ambient set. systemd puts it there; the agent takes it out at its start.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_PR_CAP_AMBIENT: Final = 47
_RAISE, _LOWER, _CLEAR_ALL = 2, 3, 4
CAP_NET_ADMIN: Final = 12


def _ambient(operation: int, capability: int = 0) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_CAP_AMBIENT, operation, capability, 0, 0) == 0)


def keep_capabilities_to_ourselves() -> None:
    """Empty the ambient set: no child of this process inherits a capability from now on."""
    _ambient(_CLEAR_ALL)


@contextmanager
def net_admin_for_children() -> Iterator[None]:
    """Let children started inside have CAP_NET_ADMIN, where this process is not root."""
    raised = _ambient(_RAISE, CAP_NET_ADMIN)
    try:
        yield
    finally:
        if raised:
            _ambient(_LOWER, CAP_NET_ADMIN)
