"""The small server, over real sockets."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from groundplane.agent import http
from groundplane.agent.exchanges import Response
from groundplane.agent.http import ApiRequest, Server, parse

HELLO = Response(200, b"hello\n", "text/plain")


async def hello(request: ApiRequest) -> Response:
    if request.path == "/wrong":
        raise ValueError("a defect")
    return HELLO


def serving(
    path: Path,
    steps: Callable[[], Awaitable[None]],
    handler: http.Handler = hello,
    patience_s: float = 5.0,
) -> None:
    """Serve at *path* until the coroutine *steps* is done."""

    async def live() -> None:
        server = Server(handler, patience_s)
        try:
            await server.listen_on_path(path, 0o666)
            await asyncio.wait_for(steps(), 20)
        finally:
            server.close()

    asyncio.run(live())


async def said(path: Path, question: bytes) -> bytes:
    """Return all that the server answers to *question*, until it closes."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(question)
    answer = await reader.read()
    writer.close()
    return answer


def test_an_answer_has_its_length_and_the_connection_ends(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def steps() -> None:
        assert (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\n"
            b"Content-Length: 6\r\nConnection: close\r\n\r\nhello\n"
        ) == await said(path, b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")

    serving(path, steps)
    assert 0o666 == path.stat().st_mode & 0o777


def test_an_answer_to_head_has_no_body(tmp_path: Path) -> None:
    async def steps() -> None:
        found = await said(tmp_path / "s", b"HEAD / HTTP/1.1\r\n\r\n")
        assert b"Content-Length: 6\r\n" in found
        assert found.endswith(b"\r\n\r\n")

    serving(tmp_path / "s", steps)


@pytest.mark.parametrize(
    "question",
    [
        b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET http://x/ HTTP/1.1\r\n\r\n",
        b"GET //[ HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\xff\x80\r\n\r\n",
    ],
)
def test_what_is_no_request_is_a_bad_one(tmp_path: Path, question: bytes) -> None:
    async def steps() -> None:
        found = await said(tmp_path / "s", question)
        assert b"HTTP/1.1 400 Bad Request" == found.splitlines()[0]

    serving(tmp_path / "s", steps)


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_a_request_may_have_sixteen_kib(tmp_path: Path, end: bytes) -> None:
    async def steps() -> None:
        found = await said(tmp_path / "s", b"GET /" + (16 << 10) * b"x" + end)
        assert found.endswith(b"\r\n\r\nthe request is too long\n")

    serving(tmp_path / "s", steps)


def test_who_asks_too_slowly_is_hung_up_on(tmp_path: Path) -> None:
    async def steps() -> None:
        found = b"x"
        with suppress(ConnectionResetError):
            found = b""
            found = await said(tmp_path / "s", b"GET / HT")
        assert b"" == found

    serving(tmp_path / "s", steps, patience_s=0.1)


def test_who_does_not_take_the_answer_holds_no_connection(tmp_path: Path) -> None:
    size = 16 << 20

    async def long(_: ApiRequest) -> Response:
        return Response(200, size * b"x")

    async def steps() -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            await asyncio.sleep(0.5)
            client.settimeout(5)
            got = 0
            # What the kernel had taken, and no more.
            while data := await asyncio.to_thread(client.recv, 1 << 20):
                got += len(data)
            assert 0 < got < size

    serving(tmp_path / "s", steps, long, patience_s=0.1)


def test_a_defect_of_ours_is_said_and_the_next_is_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def steps() -> None:
        found = await said(tmp_path / "s", b"GET /wrong HTTP/1.1\r\n\r\n")
        assert b"HTTP/1.1 500 Internal Server Error" == found.splitlines()[0]
        assert (await said(tmp_path / "s", b"GET / HTTP/1.1\r\n\r\n")).endswith(b"hello\n")

    serving(tmp_path / "s", steps)
    assert ["GET /wrong"] == [record.getMessage() for record in caplog.records]


def test_however_many_idle_connections_there_are_who_asks_is_answered(tmp_path: Path) -> None:
    """Those that were idle longest make room: fifty of a client may wait at a time."""

    async def steps() -> None:
        path = str(tmp_path / "s")
        waiting = [await asyncio.open_unix_connection(path) for _ in range(150)]
        assert (await said(tmp_path / "s", b"GET / HTTP/1.1\r\n\r\n")).endswith(b"hello\n")
        for _, writer in waiting:
            with suppress(OSError):
                writer.write(b"GET / HTTP/1.1\r\n\r\n")
        answers = [await reader.read() for reader, _ in waiting[101:]]
        assert 49 == sum(answer.endswith(b"hello\n") for answer in answers)
        for _, writer in waiting:
            writer.close()

    serving(tmp_path / "s", steps)


def test_clients_that_reset_their_connections_are_forgotten(tmp_path: Path) -> None:
    async def live() -> None:
        server = Server(hello)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        await server.listen_on_address("127.0.0.1", port)
        for _ in range(300):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(b"GET / HTTP/1.1\r\n")
            await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert (await reader.read()).endswith(b"hello\n")
        writer.close()
        server.close()

    asyncio.run(asyncio.wait_for(live(), 20))


def test_the_socket_that_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    left = path.stat().st_ino

    async def steps() -> None:
        assert (await said(path, b"GET / HTTP/1.1\r\n\r\n")).endswith(b"hello\n")

    serving(path, steps)
    assert left != path.stat().st_ino
    assert [path] == list(tmp_path.iterdir())


def test_why_an_address_cannot_be_had_is_said(tmp_path: Path) -> None:
    async def why(address: str, port: int) -> str:
        with pytest.raises(OSError, match=" port ") as caught:
            await Server(hello).listen_on_address(address, port)
        return str(caught.value.strerror)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        expected = f"127.0.0.1 port {port}: Address already in use"
        assert expected == asyncio.run(why("127.0.0.1", port))
    unknown = asyncio.run(why("no.such.host.invalid", 80))
    assert unknown.startswith("no.such.host.invalid port 80: ")
    assert "Unknown error" not in unknown


def test_of_a_name_that_is_given_twice_the_last_value_counts() -> None:
    expected = ApiRequest("GET", "/events", {"since": "2", "about": "Service/a b"})
    head = b"GET /events?since=1&since=2&about=Service%2Fa+b HTTP/1.1\r\n\r\n"
    assert expected == parse(head)
