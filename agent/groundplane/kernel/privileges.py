"""CAP_NET_ADMIN is the agent's alone: none of its children gets it.

capabilities(7): a capability reaches the children of a process that is not root only while it is
in the ambient set. systemd puts it there; the agent takes it out at its start.
"""

import ctypes
from typing import Final

_PR_CAP_AMBIENT: Final = 47
_CLEAR_ALL: Final = 4


def keep_capabilities_to_ourselves() -> None:
    """Empty the ambient set: no child of this process inherits a capability from now on."""
    ctypes.CDLL(None).prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
