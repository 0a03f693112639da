"""Serials that are asked for, of a server that answers as it is told."""

import select
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from groundplane.dataplanes.dns import wire
from groundplane.dataplanes.dns.asking import Watch, serials

ZONES = ("cluster.local", "10.in-addr.arpa")


class Server:
    """Answers questions for the serials that it has; a zone without one is refused."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.serials = dict.fromkeys(ZONES, 1)
        self.asked = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            question, peer = self._socket.recvfrom(4096)
            if not question:
                return
            (zone,) = (each for each in ZONES if wire.name(each) in question)
            serial = self.serials.get(zone)
            flags, count = (0x8400, 1) if serial else (0x8405, 0)
            header = question[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0)
            numbers = struct.pack("!IIIII", serial or 0, 1, 1, 1, 1)
            soa = wire.name("ns.") + wire.name("mail.") + numbers
            answer = b"\xc0\x0c" + struct.pack("!HHIH", wire.SOA, 1, 30, len(soa)) + soa
            self._socket.sendto(header + question[12:] + (answer if serial else b""), peer)
            self.asked.release()

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def watch(server: Server) -> Iterator[Watch]:
    made = Watch("127.0.0.1", server.port, every_s=0.01)
    made.expect(ZONES, dict(server.serials))
    yield made
    made.close()


def asked(server: Server, times: int) -> None:
    """Wait until the server was asked for all zones so many times from now on."""
    while server.asked.acquire(blocking=False):
        pass
    for _ in range((times + 1) * len(ZONES)):
        assert server.asked.acquire(timeout=10)


def is_told(watch: Watch, within: float) -> bool:
    return bool(select.select([watch.descriptor], [], [], within)[0])


def test_each_zone_has_its_serial_and_one_that_is_not_served_has_none(server: Server) -> None:
    server.serials = {ZONES[0]: 7}
    assert {ZONES[0]: 7} == serials("127.0.0.1", server.port, ZONES)
    server.serials = dict.fromkeys(ZONES, 8)
    assert dict.fromkeys(ZONES, 8) == serials("127.0.0.1", server.port, ZONES)


def test_a_server_that_is_not_there_has_none() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    assert {} == serials("127.0.0.1", port, ZONES)


def test_a_server_that_hangs_is_not_waited_for() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        assert {} == serials("127.0.0.1", deaf.getsockname()[1], ZONES, within_s=0.05)


def test_what_is_as_expected_is_not_told(server: Server, watch: Watch) -> None:
    asked(server, 2)
    assert not is_told(watch, 0)


@pytest.mark.parametrize("now", [{}, {ZONES[0]: 1}, {ZONES[0]: 1, ZONES[1]: 2}])
def test_another_serial_or_none_is_told(server: Server, watch: Watch, now: dict[str, int]) -> None:
    server.serials = now
    assert is_told(watch, 10)


def test_a_difference_is_told_once_and_another_one_again(server: Server, watch: Watch) -> None:
    server.serials = dict.fromkeys(ZONES, 2)
    assert is_told(watch, 10)
    asked(server, 2)
    assert not is_told(watch, 0)
    server.serials = dict.fromkeys(ZONES, 3)
    assert is_told(watch, 10)
    watch.expect(ZONES, dict(server.serials))
    asked(server, 2)
    assert not is_told(watch, 0)
    server.serials = dict.fromkeys(ZONES, 2)
    assert is_told(watch, 10)


def test_what_was_told_is_forgotten_when_told_to(server: Server, watch: Watch) -> None:
    server.serials = {}
    assert is_told(watch, 10)
    watch.forget()
    assert not is_told(watch, 0)
