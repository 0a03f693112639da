"""Polls the DNS server for the serials of zones, since the server reports no changes."""

import os
import socket
import struct
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from functools import lru_cache
from typing import Final

from groundplane.dataplanes.dns import wire
from groundplane.errors import StateError

_LOOK_S: Final = 1.0  # wait for each next answer, and for all of them
_EVERY_S: Final = 0.5
_ANSWER_BYTES: Final = 4096
_timeval: Final = struct.Struct("@ll")


def serials(
    address: str, port: int, zones: Iterable[str], within_s: float = _LOOK_S
) -> dict[str, int]:
    """Return the serials of *zones*, without zones for which the server has none."""
    with closing(_opened(address, port, within_s)) as opened:
        return _asked(opened, zones, within_s)


def _opened(address: str, port: int, within_s: float) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    # By the kernel: with a timeout of Python's each send and each receive is two system calls.
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _wait(within_s))
    opened.connect((address, port))
    return opened


def _wait(seconds: float) -> bytes:
    return _timeval.pack(int(seconds), int(seconds % 1 * 1_000_000))


def _asked(server: socket.socket, zones: Iterable[str], within_s: float) -> dict[str, int]:
    numbered = dict(enumerate(zones, 1))
    found: dict[str, int] = {}
    with suppress(OSError):
        for number, zone in numbered.items():
            server.send(_question(zone, number))
        until = time.monotonic() + within_s
        while numbered and time.monotonic() < until:
            number, serial = _answered(server.recv(_ANSWER_BYTES))
            zone = numbered.pop(number, "")
            if zone and serial is not None:
                found[zone] = serial
    return found


# The same questions, with mostly the same answers, repeat twice a second.
@lru_cache(maxsize=256)
def _question(zone: str, number: int) -> bytes:
    return wire.query(zone, wire.SOA, number)


@lru_cache(maxsize=256)
def _answered(answer: bytes) -> tuple[int, int | None]:
    """Return the ID of *answer*, 0 if it is not an answer, and the serial in it, if any."""
    try:
        message = wire.decode(answer)
    except StateError:
        return 0, None
    return message.number, None if message.rcode or not message.soa else message.soa.serial


class Watch:
    """Asks every *every_s* seconds, in a thread; *descriptor* is readable once serials are not as expected.

    A difference is reported once, so one that cannot be repaired does not wake the agent again.
    """

    def __init__(self, address: str, port: int, every_s: float = _EVERY_S) -> None:
        self._every_s = every_s
        # One socket for all polls: a new socket each time would add a conntrack entry.
        self._server = _opened(address, port, _LOOK_S)
        self._expected: tuple[tuple[str, ...], Mapping[str, int]] = (), {}
        self._closed = threading.Event()
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="serials", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        self._server.close()
        os.close(self.descriptor)

    def expect(self, zones: tuple[str, ...], expected: Mapping[str, int]) -> None:
        """Expect the serials *expected* of *zones* from now on; a zone without one has none."""
        self._expected = zones, expected

    def forget(self) -> None:
        """Forget what was reported so far."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.descriptor)

    def _run(self) -> None:
        told: tuple[Mapping[str, int], Mapping[str, int]] | None = None
        while not self._closed.wait(self._every_s):
            self.forget()
            zones, expected = self._expected
            self._drop_late_answers()
            found = _asked(self._server, zones, _LOOK_S)
            if found == expected:
                told = None
            elif told != (expected, found):
                told = expected, found
                os.eventfd_write(self.descriptor, 1)

    def _drop_late_answers(self) -> None:
        with suppress(BlockingIOError):
            while True:
                with suppress(ConnectionRefusedError):  # nobody was there
                    self._server.recv(_ANSWER_BYTES, socket.MSG_DONTWAIT)
