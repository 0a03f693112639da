"""Asks the agent of this node over its unix socket."""

import http.client
import socket
from pathlib import Path
from typing import Final

from groundplane.agent import SOCKET
from groundplane.errors import StateError

RUNTIME: Final = Path("/run/groundplane")
_PATIENCE_S: Final = 10.0


class NoAgent(StateError):
    """No agent answers."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_PATIENCE_S)
        self.sock.connect(str(self._path))


def ask(runtime_directory: Path, path: str, method: str = "GET") -> bytes:
    """Return the agent's response; NoAgent without one, StateError for an error response."""
    place = runtime_directory / SOCKET
    connection = _Connection(place)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        why = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise NoAgent(f"{place}: {why}; is the agent running?") from None
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise StateError(f"the agent: {body.decode(errors='replace').strip()}")
    return body
