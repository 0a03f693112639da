"""sd_notify(3): readiness, status text and watchdog, without a library."""

import os
import socket
from contextlib import suppress


def notify(*assignments: str) -> None:
    """Send *assignments* to the service manager; do nothing if none listens."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto("\n".join(assignments).encode(), address)


def watchdog_interval() -> float:
    """Return the seconds between watchdog keep-alives: a third of the service manager's timeout."""
    return int(os.environ.get("WATCHDOG_USEC", "30000000")) / 3e6
