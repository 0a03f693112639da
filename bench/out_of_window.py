"""What a stray TCP segment breaks, and what it costs that it breaks nothing: each of two settings.

    python -m bench.out_of_window

Paths and connections are those of tests/kernel/test_out_of_window.py: 1,000 connections on each path,
into each of which the answering end injects one segment beyond the window. Throughput is that of one
connection through a cluster IP to another node, in rounds that alternate between the settings.
"""

import resource
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Thread
from typing import Final

from tests.kernel.segments import Echo, broken, connected
from tests.kernel.spaces import own
from tests.kernel.test_out_of_window import EGRESS, PATHS, address_of, site
from tests.kernel.world import World, sysctl, within, world

_CONNECTIONS: Final = 1000
_ROUNDS: Final = 5
_BYTES: Final = 1 << 30
_PIECE: Final = 1 << 20


def main() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    with world(site(), own("bench")) as net:
        print(f"{'broken of ' + str(_CONNECTIONS):28}{'strict':>10}{'liberal':>10}")
        for path in PATHS:
            counts = [_with(net, liberal, partial(_broken, net, path)) for liberal in (0, 1)]
            print(f"{path:28}{counts[0]:10}{counts[1]:10}")
        speeds: tuple[list[float], list[float]] = ([], [])
        for _ in range(_ROUNDS):
            for liberal in (0, 1):
                speeds[liberal].append(_with(net, liberal, partial(_gigabits, net)))
        strict, liberal_ = map(statistics.median, speeds)
        print(
            f"{'Gbit/s (median of 5)':28}{strict:10.2f}{liberal_:10.2f}{liberal_ / strict:8.3f} x"
        )


def _with(net: World, liberal: int, measure: Callable[[], float]) -> float:
    for node in net.site.nodes:
        sysctl(net.node(node.name), net__netfilter__nf_conntrack_tcp_be_liberal=liberal)
    return measure()


def _broken(net: World, path: str) -> float:
    client, service, server = PATHS[path]
    with Echo(net.place(server), 8080 if service else EGRESS) as echo:
        made = connected(net.place(client), *address_of(net, service, "IPv4"), _CONNECTIONS)
        echo.inject()
        found = broken(made)
        for each in made:
            each.close()
    return found


def _gigabits(net: World) -> float:
    """Return the speed of _BYTES from a workload through a cluster IP to another node's."""
    with _sink(net.place("c"), 8080):
        connection = within(
            net.place("a"),
            partial(socket.create_connection, address_of(net, "far", "IPv4"), 5),
        )
        with connection:
            piece, begun = bytes(_PIECE), time.monotonic()
            for _ in range(_BYTES // _PIECE):
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
            return _BYTES * 8 / (time.monotonic() - begun) / 1e9


@contextmanager
def _sink(netns: str, port: int) -> Iterator[None]:
    """Take everything that one connection to *port* brings."""

    def take() -> None:
        connection, _ = listener.accept()
        buffer = bytearray(_PIECE)
        with connection:
            while connection.recv_into(buffer):
                pass

    listener = within(netns, partial(socket.create_server, ("0.0.0.0", port)))  # noqa: S104
    thread = Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        listener.close()


if __name__ == "__main__":
    main()
