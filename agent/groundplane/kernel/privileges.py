"""Capabilities that no child of a process inherits.

capabilities(7): a capability reaches the children of a process that is not root only while it is
in the ambient set. systemd puts CAP_NET_ADMIN there; the agent takes it out at its start.
"""

import ctypes
from typing import Final

_PR_CAP_AMBIENT: Final = 47
_CLEAR_ALL: Final = 4


def empty_ambient_set() -> None:
    """Let no child of this process inherit a capability from now on. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "the ambient set of capabilities cannot be emptied")
