"""What is asked of nf_tables and how its answers are read; a kernel made of bytes answers."""

import errno
import struct

import pytest

from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.nftables.batch import encode
from groundplane.dataplanes.nftables.maps import host32
from groundplane.dataplanes.nftables.netlink import NftConnection
from groundplane.errors import KernelRefused
from groundplane.kernel import netlink
from groundplane.kernel.tables import Table
from groundplane.net.address import pack
from tests.dataplanes.nftables.test_batch import (
    SLOTS,
    attribute,
    endpoint,
    entry,
    listed,
    slot,
)
from tests.rulesets import AFFINITY

# ------------------------------------------------------------------------------------------------


class Kernel:
    """Stands for the socket: each `recv` gives the next of *answers*, or raises it."""

    def __init__(self, *answers: bytes | OSError) -> None:
        self.answers = list(answers)
        self.closed = False

    def send(self, data: bytes) -> int:
        return len(data)

    def recv_into(self, buffer: bytearray) -> int:
        answer = self.recv(len(buffer))
        buffer[: len(answer)] = answer
        return len(answer)

    def recv(self, _size: int, flags: int = 0) -> bytes:
        if not self.answers:
            assert flags, "it would block forever"
            raise BlockingIOError
        answer = self.answers[0] if flags else self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    def getsockopt(self, *_: int) -> int:
        return 1 << 30

    def close(self) -> None:
        self.closed = True


def answer(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body


def failed(code: int) -> bytes:
    return answer(2, struct.pack("=i", -code) + bytes(16))


GOOD, DONE = failed(0), answer(3, bytes(4))
DELTA = Delta(create={slot(0): endpoint(1)})


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Kernel]:
    """Return a list that tests fill with the sockets that connections open one after the other."""
    kernels: list[Kernel] = []
    used = iter(kernels)
    monkeypatch.setattr(netlink, "_open", lambda _protocol: next(used))
    return kernels


def test_a_batch_that_is_acknowledged_is_written(opened: list[Kernel]) -> None:
    opened.append(Kernel(GOOD))
    NftConnection().commit(encode(DELTA))


@pytest.mark.parametrize(
    "answers",
    [
        (failed(errno.ENFILE),),
        (failed(errno.ENFILE), failed(errno.ENOENT)),
        (failed(errno.ENFILE), GOOD),
        (failed(errno.ENFILE) + GOOD,),
    ],
)
def test_the_first_error_of_a_batch_is_the_reason(
    opened: list[Kernel], answers: tuple[bytes, ...]
) -> None:
    opened.append(Kernel(*answers))
    with pytest.raises(KernelRefused) as refused:
        NftConnection().commit(encode(DELTA))
    assert "the kernel refused the transaction: it is full" == str(refused.value)


@pytest.mark.parametrize("code", [errno.ENOBUFS, errno.EINTR])
def test_after_a_failure_no_answer_left_unread_is_taken_for_the_next_ones(
    opened: list[Kernel], code: int
) -> None:
    opened += [Kernel(OSError(code, "lost"), failed(errno.EPERM)), Kernel(GOOD)]
    connection = NftConnection()
    with pytest.raises(KernelRefused, match="lost"):
        connection.commit(encode(DELTA))
    connection.commit(encode(DELTA))
    assert opened[0].closed


def dumped(*entries: bytes, flags: int = 0) -> bytes:
    return answer(0xA0C, bytes(4) + listed(*entries), flags)


def test_a_dump_comes_in_parts(opened: list[Kernel]) -> None:
    first, second = entry(slot(0)[1:], endpoint(1)), entry(slot(1)[1:], endpoint(2))
    opened.append(Kernel(dumped(first), dumped(second), DONE))
    assert [(slot(0), endpoint(1)), (slot(1), endpoint(2))] == [*NftConnection().elements(SLOTS)]


def test_a_dump_into_which_someone_wrote_is_no_dump(opened: list[Kernel]) -> None:
    opened += [Kernel(dumped(entry(slot(0)[1:], endpoint(1)), flags=0x10), DONE), Kernel(DONE)]
    connection = NftConnection()
    with pytest.raises(InterruptedError):
        list(connection.elements(SLOTS))
    assert [] == [*connection.elements(SLOTS)]


@pytest.mark.parametrize(
    "last", [failed(errno.ENOENT), answer(3, struct.pack("=i", -errno.ENOENT))]
)
def test_a_dump_that_ends_in_an_error_is_one(opened: list[Kernel], last: bytes) -> None:
    opened += [Kernel(last), Kernel()]
    with pytest.raises(FileNotFoundError):
        list(NftConnection().elements(SLOTS))


def table(userdata: bytes) -> bytes:
    head = attribute(1, b"groundplane\0") + attribute(6, userdata)
    return answer(0xA00, bytes(4) + head)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (table(b"\x00\x05abcd\0"), "abcd"),
        (table(b""), ""),
        (table(b"\x01\x02a\0"), ""),
        (failed(errno.ENOENT), None),
    ],
)
def test_the_comment_of_a_table(opened: list[Kernel], answers: bytes, expected: str | None) -> None:
    opened += [Kernel(answers), Kernel()]
    assert expected == NftConnection().table_comment(Table("ip", "groundplane"))


def test_the_generation_of_the_ruleset(opened: list[Kernel]) -> None:
    opened.append(Kernel(answer(0xA0F, bytes(4) + attribute(1, (7).to_bytes(4, "big")))))
    assert 7 == NftConnection().generation()


def test_what_ends_by_itself_comes_with_its_times(opened: list[Kernel]) -> None:
    map_ = AFFINITY["IPv4"]
    key, data = host32(0x2000) + pack("192.0.2.1"), host32(0x2005)
    times = attribute(4, (5000).to_bytes(8, "big")) + attribute(5, (1234).to_bytes(8, "big"))
    parts = attribute(0x8001, attribute(1, key)) + attribute(0x8002, attribute(1, data)) + times
    opened.append(Kernel(dumped(attribute(0x8001, parts)), DONE))
    assert [(map_.prefix + key, data, 5000, 1234)] == [*NftConnection().kept(map_, map_.table)]


def test_where_there_is_no_such_map_nothing_is_kept(opened: list[Kernel]) -> None:
    opened += [Kernel(failed(errno.ENOENT)), Kernel()]
    assert [] == [*NftConnection().kept(AFFINITY["IPv6"], AFFINITY["IPv6"].table)]
