"""Who gets a place when there are more connections than places."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import pytest

from groundplane.agent.connections import Connections, client_address, client_of


class Transport:
    """Stands for the other end, at *address*; `open` until the server drops it."""

    def __init__(self, address: str) -> None:
        self.address, self.open = address, True
        self.transport = self

    def abort(self) -> None:
        self.open = False

    def get_extra_info(self, name: str) -> object:
        return self if name == "socket" else (self.address, 1)

    family = socket.AF_INET


class Server:
    """A server with four places, two of one client."""

    def __init__(self) -> None:
        self.connections = Connections(limit=4, each=2)
        self.stack = ExitStack()

    def connect(self, address: str) -> Transport:
        made = Transport(address)
        self.stack.enter_context(self.connections.hold(made))  # type: ignore[arg-type]
        return made

    def ask(self, client: Transport) -> None:
        self.connections.asked(client)  # type: ignore[arg-type]


def opened(clients: list[Transport]) -> list[bool]:
    return [client.open for client in clients]


def test_one_client_takes_its_own_places_and_no_other() -> None:
    server = Server()
    other = server.connect("192.0.2.1")
    many = [server.connect("192.0.2.2") for _ in range(5)]
    assert other.open
    assert [False, False, False, True, True] == opened(many)


def test_of_many_clients_the_longest_idle_is_dropped() -> None:
    server = Server()
    many = [server.connect(f"192.0.2.{index}") for index in range(6)]
    assert [False, False, True, True, True, True] == opened(many)


def test_who_is_answered_is_dropped_only_where_nobody_is_idle() -> None:
    server = Server()
    many = [server.connect(f"192.0.2.{index}") for index in range(4)]
    for client in many[:3]:
        server.ask(client)
    server.ask(server.connect("192.0.2.8"))
    assert [True, True, True, False] == opened(many)
    server.connect("192.0.2.9")
    assert [False, True, True, False] == opened(many)


def test_who_has_left_holds_no_place() -> None:
    server = Server()
    first = [server.connect(f"192.0.2.{index}") for index in range(4)]
    server.stack.close()
    again = [server.connect(f"192.0.2.{index}") for index in range(4)]
    assert 8 * [True] == opened([*first, *again])


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_client_is_an_ipv4_address_or_the_network_of_an_ipv6_link(
    address: str, expected: str
) -> None:
    assert expected == client_address(address)


def seen(start: Callable[..., Awaitable[asyncio.Server]]) -> list[object]:
    """Return the client that a server started by *start* sees."""
    found: list[object] = []

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.append(client_of(writer))
        writer.close()

    async def live() -> None:
        async with await start(handle) as server:
            where = server.sockets[0].getsockname()
            unix = isinstance(where, str)
            reader, writer = await (
                asyncio.open_unix_connection(where) if unix else asyncio.open_connection(*where[:2])
            )
            await reader.read()
            writer.close()

    asyncio.run(live())
    return found


def test_over_a_unix_socket_a_client_is_a_user(tmp_path: object) -> None:
    path = f"{tmp_path}/s"
    assert [os.geteuid()] == seen(lambda handle: asyncio.start_unix_server(handle, path))


def test_over_tcp_a_client_is_an_address() -> None:
    assert ["127.0.0.1"] == seen(lambda handle: asyncio.start_server(handle, "127.0.0.1", 0))
