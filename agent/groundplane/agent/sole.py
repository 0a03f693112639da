"""One agent in a network namespace: two would undo each other's work."""

import errno
import socket
import struct
from typing import Final

from groundplane.errors import GroundplaneError

# An abstract address is one of the network namespace, and ends with the process that holds it.
_ADDRESS: Final = "\0groundplane/agent"


def become_the_agent() -> socket.socket:
    """Return what holds the place of this namespace's agent until it is closed.

    GroundplaneError names the process that holds it already.
    """
    place = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        place.bind(_ADDRESS)
        place.listen()
    except OSError as error:
        place.close()
        if error.errno != errno.EADDRINUSE:
            raise
        message = f"an agent runs on this node already{_holder()}; two would undo each other's work"
        raise GroundplaneError(message) from None
    return place


def _holder() -> str:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(0)  # nobody accepts: after many asked there is no room
            asking.connect(_ADDRESS)
            credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return f" (pid {struct.unpack('=iII', credentials)[0]})"
    except OSError:
        return ""  # it ended just now, or was asked too often
