"""Checks of every kind against real servers on loopback: good ones, slow ones, broken ones."""

import datetime
import socket
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from groundplane.probes.outcome import ProbeOutcome
from groundplane.site.compiled import ProbeKind
from tests.probes.servers import (
    OK,
    Script,
    answering,
    checked,
    descriptors,
    free_port,
    probe,
    request,
    served,
)

KINDS: tuple[ProbeKind, ...] = ("tcp", "http", "https", "grpc")


def silent(connection: socket.socket) -> None:
    connection.recv(1 << 20)
    time.sleep(3)


def resetting(connection: socket.socket) -> None:
    request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def dribbling(connection: socket.socket) -> None:
    """Send a byte a minute, or what a test takes for one."""
    connection.recv(4096)
    for byte in OK:
        connection.sendall(bytes([byte]))
        time.sleep(1)


def endless(connection: socket.socket) -> None:
    request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def informing(connection: socket.socket) -> None:
    request(connection)
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


@pytest.mark.parametrize("kind", KINDS)
def test_a_port_without_a_listener_refuses(kind: ProbeKind) -> None:
    assert ProbeOutcome(False, "connection refused") == checked(probe(free_port(), kind))


@pytest.mark.parametrize("script", [silent, answering()])
def test_a_connection_is_enough_for_tcp(script: Script) -> None:
    with served(script) as port:
        assert ProbeOutcome(True, "connected") == checked(probe(port))


def test_ipv6() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
        assert ProbeOutcome(True, "connected") == checked(probe(port, address="::1"))


def test_a_check_leaves_no_connection_in_time_wait() -> None:
    with served(silent) as port:
        for _ in range(20):
            assert checked(probe(port))
        ours = f":{port:04X} 06 "  # remote end, TIME_WAIT
        assert ours not in Path("/proc/net/tcp").read_text()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (answering(OK), ProbeOutcome(True, "HTTP 200")),
        (answering(OK[:20], OK[20:-1], OK[-1:]), ProbeOutcome(True, "HTTP 200")),
        (answering(OK.replace(b"200", b"503")), ProbeOutcome(False, "HTTP 503")),
        (endless, ProbeOutcome(True, "HTTP 200")),
        (informing, ProbeOutcome(False, "an answer without end")),
        (resetting, ProbeOutcome(False, "connection reset")),
        (answering(), ProbeOutcome(False, "the connection ends without an answer")),
        (answering(OK[:-1]), ProbeOutcome(False, "the answer is cut off")),
        (answering(b"220 smtp.example ESMTP\r\n"), ProbeOutcome(False, "no HTTP: b'220 smtp.example ESM'")),
        (
            answering(b"HTTP/1.1 302 Found\r\nLocation: http://web.example/\r\n\r\n"),
            ProbeOutcome(True, "HTTP 302 to another host, which is not asked"),
        ),
    ],
)  # fmt: skip
def test_http(script: Script, expected: ProbeOutcome) -> None:
    with served(script) as port:
        assert expected == checked(probe(port, "http"))


@pytest.mark.parametrize("kind", ["http", "https", "grpc"])
@pytest.mark.parametrize("script", [silent, dribbling])
def test_one_that_does_not_get_on_is_waited_for_with_one_socket(
    script: Script, kind: ProbeKind
) -> None:
    """How long is the Prober's affair."""
    before = descriptors()
    with served(script) as port:
        assert checked(probe(port, kind), patience=0.3) is None
    assert descriptors() <= before + 1  # what the server has of it


def test_a_request_is_the_probes() -> None:
    asked: list[bytes] = []

    def script(connection: socket.socket) -> None:
        asked.append(request(connection))
        connection.sendall(OK)

    with served(script) as port:
        headers = (("X-Token", "secret"),)
        checked(probe(port, "http", host="web.example", path="/x?y", headers=headers))
    assert asked[0].startswith(b"GET /x?y HTTP/1.1\r\nHost: web.example\r\n")
    assert b"\r\nX-Token: secret\r\n" in asked[0]


def test_redirects_are_followed_on_connections_of_their_own() -> None:
    paths: list[bytes] = []

    def script(connection: socket.socket) -> None:
        paths.append(request(connection).split()[1])
        number = len(paths)
        to = f"HTTP/1.1 302 Found\r\nLocation: /{number}\r\nContent-Length: 0\r\n\r\n"
        connection.sendall(OK if number == 4 else to.encode())

    with served(script) as port:
        assert ProbeOutcome(True, "HTTP 200") == checked(probe(port, "http", path="/"))
    assert [b"/", b"/1", b"/2", b"/3"] == paths


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Return a server's context with a certificate that nobody should trust: long expired."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "elsewhere.example")])
    day = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(day).not_valid_after(day + datetime.timedelta(1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    form = serialization.Encoding.PEM
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(
        key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(form)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_https_takes_any_certificate(tls: ssl.SSLContext) -> None:
    with served(answering(OK), tls) as port:
        assert ProbeOutcome(True, "HTTP 200") == checked(probe(port, "https"))


def test_https_reads_a_large_answer_to_what_is_wanted(tls: ssl.SSLContext) -> None:
    with served(endless, tls) as port:
        assert ProbeOutcome(True, "HTTP 200") == checked(probe(port, "https"))


def test_https_takes_what_ends_without_a_closing_alert(tls: ssl.SSLContext) -> None:
    with served(answering(b"HTTP/1.0 200 OK\r\n\r\nok"), tls) as port:
        assert ProbeOutcome(True, "HTTP 200") == checked(probe(port, "https"))


def test_https_to_who_speaks_http_is_no_tls() -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with served(script) as port:
        found = checked(probe(port, "https"))
    assert found is not None
    assert (False, "TLS: ") == (found.passed, found.reason[:5])


def test_http_to_who_speaks_tls_is_no_http(tls: ssl.SSLContext) -> None:
    with served(answering(OK), tls) as port:
        found = checked(probe(port, "http"))
    assert found is not None
    assert not found.passed
