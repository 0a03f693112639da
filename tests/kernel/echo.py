"""Connections that stay: a server that sends back what comes."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.kernel.world import within


@contextlib.contextmanager
def echo(netns: str, port: int) -> Iterator[None]:
    """Send back what comes, for as long as the client likes."""

    def listen() -> socket.socket:
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while received := connection.recv(100):
                connection.sendall(received)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

    listener = within(netns, listen)
    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def connect(netns: str, address: str, port: int = 80) -> socket.socket:
    return within(netns, lambda: socket.create_connection((address, port), timeout=30))


def lives(connection: socket.socket) -> bool:
    connection.sendall(b"?")
    return connection.recv(1) == b"?"
