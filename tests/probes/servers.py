"""Backends that do what real ones do, and worse; and one check of a probe, by real sockets."""

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

from groundplane.probes.outcome import ProbeOutcome
from groundplane.probes.poller import PolledCheck, Poller
from groundplane.probes.talk import conversation
from groundplane.site.compiled import Probe, ProbeKind

Script = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def probe(port: int, kind: ProbeKind = "tcp", *, name: str = "web-1", **rest: object) -> Probe:
    """Return a probe of 127.0.0.1, once a second, that one check decides."""
    defaults: dict[str, object] = {
        "initial_delay": 0, "period": 1, "timeout": 1, "success_threshold": 1,
        "failure_threshold": 1, "address": "127.0.0.1", "port": port, "path": "/healthz",
        "host": f"127.0.0.1:{port}",
    }  # fmt: skip
    return Probe("default", name, "n1", kind, **{**defaults, **rest})  # type: ignore[arg-type]


@contextmanager
def served(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Let *script* have each connection that is made, in a thread of its own; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1000)

    def one(connection: socket.socket) -> None:
        with closing(connection), suppress(OSError):
            connection.settimeout(5)
            script(tls.wrap_socket(connection, server_side=True) if tls else connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def answering(*parts: bytes) -> Script:
    """Return a script that reads one request, and says *parts*."""

    def script(connection: socket.socket) -> None:
        request(connection)
        for part in parts:
            connection.sendall(part)

    return script


def request(connection: socket.socket) -> bytes:
    """Return what is asked, down to its empty line."""
    found = b""
    while b"\r\n\r\n" not in found:
        data = connection.recv(4096)
        if not data:
            break
        found += data
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def checked(asked: Probe, patience: float = 3) -> ProbeOutcome | None:
    """Return how one check of *asked* ends, None when it has not after *patience* seconds."""

    async def run() -> ProbeOutcome | None:
        ended: asyncio.Future[ProbeOutcome] = asyncio.get_running_loop().create_future()
        poller = Poller(lambda: None)
        check = PolledCheck(conversation(asked), poller, ended.set_result)
        check.step()
        try:
            return await asyncio.wait_for(ended, patience)
        except TimeoutError:
            return None
        finally:
            check.abort()
            poller.close()

    return asyncio.run(run())


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))
