"""grpc.health.v1, asked of grpc's own server."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from hypothesis import given
from hypothesis import strategies as st

from groundplane.probes.grpc import HealthCheck
from groundplane.probes.outcome import ProbeOutcome
from tests.probes.servers import OK, answering, checked, probe, served

STATUS = health_pb2.HealthCheckResponse


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(2))
    servicer = health.HealthServicer()
    for service, status in (
        ("", STATUS.SERVING),
        ("web", STATUS.SERVING),
        ("down", STATUS.NOT_SERVING),
        ("x" * 200, STATUS.SERVING),
        ("new", STATUS.UNKNOWN),
    ):
        servicer.set(service, status)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    found = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield found
    server.stop(None).wait()


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("", ProbeOutcome(True, "SERVING")),
        ("web", ProbeOutcome(True, "SERVING")),
        ("x" * 200, ProbeOutcome(True, "SERVING")),
        ("down", ProbeOutcome(False, "NOT_SERVING")),
        ("new", ProbeOutcome(False, "UNKNOWN")),
        ("nobody", ProbeOutcome(False, "gRPC NOT_FOUND")),
    ],
)
def test_serving_passes(port: int, service: str, expected: ProbeOutcome) -> None:
    assert expected == checked(probe(port, "grpc", service=service))


def test_a_server_without_health_checks_says_so() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    assert ProbeOutcome(False, "the server has no grpc.health.v1") == checked(probe(port, "grpc"))
    server.stop(None).wait()


def test_who_speaks_http_1_has_none() -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(OK)

    with served(script) as port:
        found = checked(probe(port, "grpc"))
    assert ProbeOutcome(False, "no HTTP/2: b'HTTP/1.1 200 OK\\r\\nCon'") == found


def test_who_hangs_up_has_none() -> None:
    with served(answering()) as port:
        found = checked(probe(port, "grpc"), patience=0.2)
    assert found is None or not found.passed


@given(st.binary(min_size=1, max_size=200))
def test_whatever_comes_no_error_does(data: bytes) -> None:
    call = HealthCheck("127.0.0.1:1", "web")
    assert (found := call.received(data)) is None or not found.passed
