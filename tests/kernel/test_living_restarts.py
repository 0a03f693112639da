"""Restarts and a long life: no connection is lost, no rule rewritten, nothing grows.

`make soak` runs $GROUNDPLANE_SOAK times as many connections and changes, and prints what they cost.
"""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kernel.living import SITE, Living, living
from tests.kernel.world import ip, run, within

pytestmark = pytest.mark.slow

BACKEND = "10.244.1.10"
VIP = ("10.96.0.5", 80)
SOAK = int(os.environ.get("GROUNDPLANE_SOAK", "1"))
LONG, SHORT = 1000, 20_000 * SOAK
CHANGES = 10_000 * SOAK


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Living]:
    with living("restarts", tmp_path) as made:
        site = SITE.replace("name: b, labels: {app: web}", "name: b")
        made.write({"site.yaml": site.replace("  sessionAffinity: ClientIP\n", "")})
        yield made


class Echo:
    """Answers on the backend's address: what it gets, for as long as the connection stands."""

    def __init__(self, netns: str) -> None:
        ip(f"-n {netns} address add {BACKEND}/32 dev lo")
        self._socket = within(netns, self._listen)
        self._standing: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _listen(self) -> socket.socket:
        return socket.create_server((BACKEND, 8080), backlog=4096)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            first = client.recv(1)
            client.sendall(first)
            if first == b"l":  # a long one
                self._standing.append(client)
                threading.Thread(target=self._echo, args=(client,), daemon=True).start()
            else:
                client.close()

    @staticmethod
    def _echo(client: socket.socket) -> None:
        while received := client.recv(1):
            client.sendall(received)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for each in self._standing:
            each.close()


def opened(kind: bytes) -> socket.socket:
    client = socket.create_connection(VIP, 5)
    client.sendall(kind)
    assert kind == client.recv(1)
    return client


def test_restarts_lose_no_connection_and_rewrite_no_rule(agent: Living) -> None:
    agent.start()
    agent.until_healthy()
    echo = Echo(agent.netns)
    standing = within(agent.netns, lambda: [opened(b"l") for _ in range(LONG)])
    handles = agent.nft("-a", "list", "ruleset")
    done = threading.Event()

    def open_many() -> int:
        for _ in range(SHORT):
            opened(b"s").close()
        done.set()
        return SHORT

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(within, agent.netns, open_many)
        restarts = 0
        while not done.is_set() and running.running():
            agent.stop() if restarts % 2 else agent.kill()
            agent.start()
            agent.until_healthy()
            restarts += 1
        assert SHORT == running.result()
    print(f"{SHORT:,} connections during {restarts} restarts, none lost")
    assert 2 < restarts
    assert handles == agent.nft("-a", "list", "ruleset")  # handles tell what was made again
    for client in standing:
        client.sendall(b"x")
        assert b"x" == client.recv(1)
        client.close()
    echo.close()


def test_many_changes_leave_memory_and_descriptors_as_they_were(agent: Living) -> None:
    agent.add_a_service()
    command = [sys.executable, "-m", "tests.kernel.soak", str(agent.root), str(CHANGES)]
    lines = run(agent.netns, *command).splitlines()
    memory, descriptors = zip(*(map(int, line.split()) for line in lines), strict=True)
    print(f"{CHANGES:,} changes: memory in KiB {memory}, descriptors {descriptors}")
    assert 10 == len(memory)
    # The last 5,000 events are kept: until there are as many, they add up.
    assert 1.01 > memory[-1] / memory[5], memory
    assert 1 == len({*descriptors}), descriptors
