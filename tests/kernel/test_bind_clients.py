"""Clients of BIND that take its places and ask nothing. Needs root: a namespace, where named runs."""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from groundplane.dataplanes.reconcile import Reconciler
from groundplane.project.state import NodeState
from tests.kernel.named import PORT, Server
from tests.kernel.spaces import namespace
from tests.kernel.world import within
from tests.states import service, state

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

WEB = service("web", ["10.96.0.5", "fd00:96::5"])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with namespace("clients") as netns, ExitStack() as stack:
        started = Server(netns, tmp_path)
        stack.callback(started.stop)
        yield started


@contextmanager
def idle(server: Server, count: int, taken: int) -> Iterator[None]:
    """Have *count* connections to *server* be tried, of which *taken* are made at least."""

    def connect() -> list[socket.socket]:
        opened = [socket.socket() for _ in range(count)]
        for each in opened:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", PORT))
        return opened

    opened, made = within(server.netns, connect), select.poll()
    for each in opened:
        made.register(each, select.POLLOUT)
    while len(made.poll(100)) < taken:
        pass
    try:
        yield
    finally:
        for each in opened:
            each.close()


def test_idle_connections_of_clients_keep_no_update_waiting(server: Server) -> None:
    """Of BIND's own 150 places they would take all."""
    with idle(server, count=300, taken=151):
        assert server.apply(state(WEB)) > 0


def test_an_agent_that_changes_nothing_keeps_its_connection(server: Server) -> None:
    text = server.config.read_text().replace("tcp-initial-timeout 25", "tcp-initial-timeout 1200")
    server.config.write_text(
        text.replace("tcp-clients 10000;", "tcp-clients 2; tcp-idle-timeout 10;")
    )
    server.stop()
    server.process = server.start()
    reconciler = Reconciler(server.plane())

    def apply(wanted: NodeState) -> int:
        return len(within(server.netns, partial(reconciler.apply, wanted)))

    assert apply(state(WEB)) > 0
    with idle(server, count=5, taken=2):
        for _ in range(8):
            time.sleep(0.3)  # as the agent's looks every ten seconds, beside BIND's limit of 30
            assert not within(server.netns, reconciler.drift)
        assert apply(state()) > 0
