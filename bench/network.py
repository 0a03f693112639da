"""Connections through a loaded node and past it, in the same run.

client ──┬── this process's namespace (the node) ──┬── server
         └────────── a router without rules ───────┘
"""

import ctypes
import os
import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Way(NamedTuple):
    """Where a client connects, from which of its addresses."""

    name: str
    source: str
    address: str
    port: int


def new_network() -> None:
    """Leave this process's network namespace, and all rules in it, for an empty one."""
    if _libc.unshare(_CLONE_NEWNET):
        raise SystemExit("bench: root is needed, to make network namespaces")


def _ip(*lines: str) -> None:
    for line in lines:
        subprocess.run(["ip", *line.split()], check=True)


def _enter(name: str) -> None:
    with open(f"/run/netns/{name}") as file:
        if _libc.setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), name)


@contextmanager
def around(prefix: str = "gpb") -> Iterator[None]:
    """Put client, server and the router without rules around this thread's namespace.

    The client is a workload of n0, whose subnet is behind this link: no other may send as one.
    """
    names = [f"{prefix}-{each}" for each in ("node", "client", "server", "router")]
    node, client, server, router = names
    for name in names:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
    try:
        for name in names[1:]:
            _ip(f"netns add {name}", f"-n {name} link set lo up")
        _ip(f"netns attach {node} {os.getpid()}", "link set lo up")
        for left, right, net in (
            (client, node, "10.250.0"), (node, server, "198.18.2"),
            (client, router, "198.18.3"), (router, server, "198.18.4"),
        ):  # fmt: skip
            end = net.rsplit(".", 1)[1]
            _ip(
                f"-n {left} link add to{end} type veth peer name from{end} netns {right}",
                f"-n {left} address add {net}.1/24 dev to{end}",
                f"-n {right} address add {net}.2/24 dev from{end}",
                f"-n {left} link set to{end} up",
                f"-n {right} link set from{end} up",
            )
        for name in (node, router):
            subprocess.run(
                ["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True
            )
        _ip(
            f"-n {client} route add default via 10.250.0.2",
            f"-n {client} route add 198.18.4.0/24 via 198.18.3.2",
            f"-n {client} address add 198.51.100.1/32 dev lo",
            f"-n {node} route add 198.51.100.1 via 10.250.0.1",
            f"-n {node} route add 10.128.0.0/9 via 198.18.2.2",
            f"-n {server} route add local 10.128.0.0/10 dev lo table main",
            f"-n {server} route add 10.250.0.0/24 via 198.18.2.1",
            f"-n {server} route add 198.18.3.0/24 via 198.18.4.1",
        )
        yield
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def connect(ways: Sequence[Way], times: int, prefix: str = "gpb") -> dict[str, list[float]]:
    """Return the seconds of *times* connections by each of *ways*, asked in random turns."""
    found: dict[str, list[float]] = {way.name: [] for way in ways}
    ready = threading.Event()

    def serve() -> None:
        _enter(f"{prefix}-server")
        with socket.create_server(("0.0.0.0", 8080), backlog=4096) as listener:  # noqa: S104
            listener.settimeout(5)
            ready.set()
            with suppress(TimeoutError):
                while True:
                    listener.accept()[0].close()

    def ask() -> None:
        _enter(f"{prefix}-client")
        turns = list(ways) * (times + 50)
        random.Random(1).shuffle(turns)  # noqa: S311
        for way in turns:
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            client.bind((way.source, 0))
            start = time.perf_counter()
            client.connect((way.address, way.port))
            found[way.name].append(time.perf_counter() - start)
            client.close()

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    ready.wait()
    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
    return {name: seconds[50:] for name, seconds in found.items()}
