"""SCTP: a kernel may forward and translate it without having sockets for it, so packets are made here.

Formats: RFC 9260, 3.1 and 3.3.2; the checksum is CRC32c (appendix A there).
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest

from groundplane.project import NodeState, project_service
from groundplane.project.select_endpoints import Place
from groundplane.site import compiled
from groundplane.site.compiled import Endpoint, Port, columns
from tests.kernel.stage import BASE_OF_STAGE, Stage, stage
from tests.kernel.world import within

pytestmark = pytest.mark.kernel

SCTP = 132
ENDPOINT = Endpoint("one", "n2", "", "10.244.2.10", "fd00:244:0:2::10", (9999,))


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def init(source_port: int, port: int) -> bytes:
    """Return the packet that opens an association."""
    chunk = struct.pack(">BBHIIHHI", 1, 0, 20, 0x1234, 65536, 1, 1, 1)
    header = struct.pack(">HHI", source_port, port, 0)
    checksum = struct.pack("<I", _crc32c(header + bytes(4) + chunk))
    return header + checksum + chunk


@pytest.fixture(scope="module")
def scene() -> Iterator[Stage]:
    with stage() as built:
        service = compiled.Service(
            "default",
            "signalling",
            ("IPv4", "IPv6"),
            ("10.96.0.5", "fd00:96::5"),
            (Port("m3ua", "SCTP", 2905, 6, 30905), Port("tcp", "TCP", 2905, 8)),
            columns([ENDPOINT._replace(targets=(9999, 8080))]),
        )
        made = project_service(service, Place("n1", ""), frozenset())
        built.load(NodeState.of(BASE_OF_STAGE, [made]))
        yield built


def _sent(
    scene: Stage, client: str, source: str, address: str, port: int
) -> tuple[str, int, int] | None:
    """Return who the world sees, and the ports it is asked at, after a packet from *client*."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = within(scene.world, partial(socket.socket, family, socket.SOCK_RAW, SCTP))
    sender = within(client, partial(socket.socket, family, socket.SOCK_RAW, SCTP))
    with closing(listener), closing(sender):
        listener.settimeout(0.5)
        sender.bind((source, 0))
        sender.sendto(init(4000, port), (address, 0))
        try:
            data, peer = listener.recvfrom(2048)
        except TimeoutError:
            return None
        if family == socket.AF_INET:
            data = data[(data[0] & 15) * 4 :]
        source_port, to = struct.unpack_from(">HH", data)
        assert 1 == data[12], "no INIT"
        body = data[:8] + bytes(4) + data[12:]
        assert struct.unpack_from("<I", data, 8)[0] == _crc32c(body), "a wrong checksum"
        return peer[0], source_port, to


@pytest.mark.parametrize(
    ("source", "address"),
    [("10.244.1.10", "10.96.0.5"), ("fd00:244:0:1::10", "fd00:96::5")],
)
def test_an_association_is_opened_with_an_endpoint(scene: Stage, source: str, address: str) -> None:
    assert (source, 4000, 9999) == _sent(scene, scene.workloads["a"], source, address, 2905)


@pytest.mark.parametrize("address", ["10.96.0.5", "fd00:96::5"])
def test_a_port_that_the_service_does_not_have_leads_nowhere(scene: Stage, address: str) -> None:
    source = "fd00:244:0:1::10" if ":" in address else "10.244.1.10"
    assert _sent(scene, scene.workloads["a"], source, address, 2906) is None
