"""A snapshot on a real HTTPS server: whole, from whom we know, and no more than once."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundplane.site import compiled
from groundplane.site.compiled import Site
from groundplane.site.encoding import encode
from groundplane.site.snapshot import revision_of
from groundplane.sources import Source, Trust, source_of
from groundplane.sources.waits import Waits
from tests.sources.conftest import fault, look
from tests.sources.pki import Signed, authority, signed
from tests.sources.web import Handler, Web, web

pytestmark = pytest.mark.slow


def snapshot(domain: str) -> bytes:
    return encode(Site(compiled.FORMAT, domain, (), (), (), True, (), (), (), ()))


ONE, TWO = snapshot("one.example"), snapshot("two.example")


def gives(body: bytes, **headers: str) -> Callable[[Handler], None]:
    """Return what answers with *body*, and with 304 to whoever has it by its ETag."""

    def answer(handler: Handler) -> None:
        known = handler.headers.get("If-None-Match")
        if known is not None and known == headers.get("ETag"):
            handler.reply(304, b"", **headers)
        else:
            handler.reply(200, body, **headers)

    return answer


@pytest.fixture
def source(server: Web, cache: Path, trust: Trust) -> Source:
    return source_of(f"https://{server.place}/site.snapshot", cache, trust)


def test_a_snapshot_comes_as_it_is(source: Source, server: Web) -> None:
    server.answer = gives(ONE)
    found = look(source)
    assert (ONE, revision_of(ONE), None) == (found.snapshot, found.revision, found.directory)
    assert (f"https://{server.place}/site.snapshot", None) == (source.name, source.watched)
    assert ["/site.snapshot"] == server.requests


def test_the_same_is_not_sent_again(source: Source, server: Web) -> None:
    server.answer = gives(ONE, ETag='"1"')
    found = look(source)
    statuses: list[int] = []

    def noted(handler: Handler) -> None:
        assert '"1"' == handler.headers["If-None-Match"]
        statuses.append(304)
        handler.reply(304)

    server.answer = noted
    assert found is look(source)
    assert [304] == statuses
    server.answer = gives(TWO, ETag='"2"')
    assert TWO == look(source).snapshot


def test_a_server_without_etags_will_do(source: Source, server: Web) -> None:
    server.answer = gives(ONE)
    found = look(source)
    assert found is look(source)
    server.answer = gives(TWO)
    assert found.fingerprint != look(source).fingerprint


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (ONE[:-1], "not a compiled site: "),
        (ONE.replace(b"one", b"ONE"), "not a compiled site: its header does not match its digest"),
        (b"<html>\x1b[2J", "not a compiled site: it begins with b'<html>\\x1b[2J'"),
        (b"", "not a compiled site: it begins with b''"),
        (b"groundplane-site 1 " + b"0" * 64 + b"\n", "a compiled site of format 1; this version"),
    ],
)
def test_what_is_no_whole_snapshot_changes_nothing(
    source: Source, server: Web, body: bytes, expected: str
) -> None:
    server.answer = gives(ONE, ETag='"1"')
    found = look(source)
    server.answer = gives(body, ETag='"2"')
    assert fault(source).startswith(expected)
    server.answer = gives(ONE, ETag='"1"')
    assert found is look(source)


def test_an_answer_that_is_cut_off(source: Source, server: Web) -> None:
    server.answer = gives(ONE, Content_Length=str(len(ONE) + 1), Connection="close")
    assert f"the answer ended after {len(ONE)} of {len(ONE) + 1} bytes" == fault(source)


def test_pieces_that_are_cut_off(source: Source, server: Web) -> None:
    def chunked(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc")
        handler.close_connection = True

    server.answer = chunked
    assert "the answer was cut off" == fault(source)


@pytest.mark.parametrize("known", [True, False])
def test_one_that_is_too_large_is_not_read_to_its_end(
    server: Web, cache: Path, trust: Trust, known: bool
) -> None:
    length = f"Content-Length: {1 << 40}\r\n" if known else "Connection: close\r\n"
    ended = threading.Event()

    def endless(handler: Handler) -> None:
        handler.wfile.write(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode())
        try:
            while True:
                handler.wfile.write(b"x" * (1 << 16))
        finally:
            ended.set()

    server.answer = endless
    trust = replace(trust, max_bytes=1 << 20)
    source = source_of(f"https://{server.place}/site.snapshot", cache, trust)
    assert "the snapshot is larger than 1 MiB" == fault(source)
    assert ended.wait(5)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(source: Source, server: Web, status: int) -> None:
    server.answer = lambda handler: handler.reply(status, Location="https://other/x")
    expected = "the server redirects to https://other/x; the URL has to be the final one"
    assert expected == fault(source)
    assert 1 == len(server.requests)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (304, "the server answered 304 Not Modified"),
        (403, "the server answered 403 Forbidden"),
        (404, "the server answered 404 Not Found"),
        (503, "the server answered 503 Service Unavailable"),
    ],
)
def test_any_other_answer_is_told(source: Source, server: Web, status: int, expected: str) -> None:
    server.answer = lambda handler: handler.reply(status)
    assert expected == fault(source)


def test_what_is_no_answer_of_http(source: Source, server: Web) -> None:
    def odd(handler: Handler) -> None:
        handler.wfile.write(b"SSH-2.0-x\r\n")
        handler.close_connection = True

    server.answer = odd
    assert fault(source).startswith("no answer of HTTP: BadStatusLine: SSH-2.0-x")


def test_a_server_that_we_have_no_reason_to_trust(server: Web, cache: Path, tmp_path: Path) -> None:
    url = f"https://{server.place}/site.snapshot"
    expected = "the server's certificate is not to be trusted: "
    assert fault(source_of(url, cache)).startswith(expected)
    other = Trust(ca=authority(tmp_path, "other").certificate)
    assert fault(source_of(url, cache, other)).startswith(expected)


def test_a_certificate_of_another_host(ca: Signed, cache: Path, trust: Trust) -> None:
    other = signed(ca, "elsewhere", "-addext", "subjectAltName=DNS:other.example")
    with web(other) as server:
        found = fault(source_of(f"https://{server.place}/x", cache, trust))
    assert found.startswith("the server's certificate is not to be trusted: IP address mismatch")


def test_a_server_that_wants_a_certificate(
    host: Signed, ca: Signed, cache: Path, trust: Trust, tmp_path: Path
) -> None:
    client, other = signed(ca, "client"), signed(authority(tmp_path, "other"), "stranger")
    with web(host, clients=ca.certificate) as server:
        server.answer = gives(ONE)
        url = f"https://{server.place}/site.snapshot"
        ours = replace(trust, certificate=client.certificate, certificate_key=client.key)
        assert ONE == look(source_of(url, cache, ours)).snapshot
        # The server may hang up before we have read why.
        ended = ("the server ended the connection", "Connection reset by peer")
        wanted = ("TLS: tlsv13 alert certificate required", *ended)
        assert fault(source_of(url, cache, trust)) in wanted
        theirs = replace(trust, certificate=other.certificate, certificate_key=other.key)
        unknown = ("TLS: tlsv1 alert unknown ca", *ended)
        assert fault(source_of(url, cache, theirs)) in unknown
        both = tmp_path / "both.pem"
        both.write_bytes(client.certificate.read_bytes() + client.key.read_bytes())
        one = replace(trust, certificate=both)
        assert ONE == look(source_of(url, cache, one)).snapshot


@pytest.mark.parametrize(
    ("text", "expected"), [("me:secret\n", "Basic bWU6c2VjcmV0"), ("tok.en", "Bearer tok.en")]
)
def test_a_token_is_shown_to_the_server(
    server: Web, cache: Path, trust: Trust, tmp_path: Path, text: str, expected: str
) -> None:
    given: list[str] = []

    def answer(handler: Handler) -> None:
        given.append(handler.headers["Authorization"])
        handler.reply(200, ONE)

    server.answer = answer
    (tmp_path / "token").write_text(text)
    trust = replace(trust, token=tmp_path / "token")
    look(source_of(f"https://{server.place}/site.snapshot", cache, trust))
    assert [expected] == given


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("ca", None, "cannot be read: No such file or directory"),
        ("ca", "x", "no certificate in PEM"),
        ("token", "a\nX-Injected: b", "one line is needed, with USER:PASSWORD or a token"),
        ("token", "", "one line is needed, with USER:PASSWORD or a token"),
        ("certificate", "x", "no certificate with its key in PEM"),
    ],
)
def test_a_file_of_ours_that_cannot_be_used(
    server: Web,
    cache: Path,
    trust: Trust,
    tmp_path: Path,
    field: str,
    text: str | None,
    expected: str,
) -> None:
    file = tmp_path / "file"
    if text is not None:
        file.write_text(text)
    given: dict[str, Any] = {field: file}
    source = source_of(f"https://{server.place}/x", cache, replace(trust, **given))
    assert f"{file}: {expected}" == fault(source)
    assert [] == server.requests


def test_a_server_that_is_away(source: Source, server: Web) -> None:
    server.answer = gives(ONE)
    found = look(source)
    server.shutdown()
    server.server_close()
    assert "Connection refused" == fault(source)
    assert ONE == found.snapshot


def test_a_server_that_says_nothing(cache: Path, trust: Trust) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/x"
        source = source_of(url, cache, trust, Waits(silence=0.2))
        assert "no answer within 0.2 s" == fault(source)


def drips(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.02)


def test_a_server_that_never_comes_to_an_end(server: Web, cache: Path, trust: Trust) -> None:
    """The thread ends too: asyncio.run waits for it."""
    source = source_of(f"https://{server.place}/x", cache, trust, Waits(whole=0.3))
    server.answer = drips
    assert "timed out after 0.3 s" == fault(source)


def test_a_look_that_is_not_waited_for_ends(source: Source, server: Web) -> None:
    server.answer = drips

    async def cancelled() -> None:
        looking = asyncio.create_task(source.look())
        while not server.requests:
            await asyncio.sleep(0.01)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking

    asyncio.run(asyncio.wait_for(cancelled(), 5))
