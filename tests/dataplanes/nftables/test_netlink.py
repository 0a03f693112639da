"""Batches and answers of nf_tables' netlink, byte for byte; no kernel is asked."""

import errno
import struct
from typing import NamedTuple

import pytest

from groundplane.dataplanes.nftables import netlink
from groundplane.dataplanes.nftables.maps import MAPS, Element, host32
from groundplane.dataplanes.nftables.netlink import Connection, encode
from groundplane.diff import Delta
from groundplane.errors import KernelRefused
from groundplane.model.address import pack

SLOTS, NODES = MAPS["IPv4"].slots, MAPS["IPv6"].nodes
BEGIN, END, NEW, DELETE = 0x10, 0x11, 0xA0C, 0xA0E
REQUEST, ACK, CREATE = 1, 4, 0x400


class Message(NamedTuple):
    kind: int
    flags: int
    family: int
    resource: int
    body: bytes


def messages(batch: bytes) -> list[Message]:
    found, start = [], 0
    while start < len(batch):
        length, kind, flags, _, _ = struct.unpack_from("=IHHII", batch, start)
        family, _, resource = struct.unpack_from(">BBH", batch, start + 16)
        body = batch[start + 20 : start + length]
        found.append(Message(kind, flags, family, resource, body))
        start += (length + 3) & ~3
    return found


def slot(number: int) -> Element:
    return SLOTS, host32(0x2000) + host32(number)


def endpoint(number: int) -> bytes:
    return pack(f"10.244.1.{number}") + b"\x1f\x90\0\0"


def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def entry(key: bytes, data: bytes = b"") -> bytes:
    nested = 0x8000
    parts = attribute(nested | 1, attribute(1, key))
    if data:
        parts += attribute(nested | 2, attribute(1, data))
    return attribute(nested | 1, parts)


def listed(*entries: bytes, map_: str = "slots") -> bytes:
    head = attribute(1, b"groundplane\0") + attribute(2, map_.encode() + b"\0")
    return head + attribute(0x8003, b"".join(entries))


def test_a_batch_is_one_transaction_whose_last_message_asks_for_the_answer() -> None:
    batch = messages(encode(Delta(create={slot(0): endpoint(1)})))
    assert [
        (BEGIN, REQUEST, 0, 10),
        (NEW, REQUEST | CREATE | ACK, 2, 0),
        (END, REQUEST, 0, 10),
    ] == [message[:4] for message in batch]


def test_an_element_is_its_key_and_its_data() -> None:
    batch = messages(encode(Delta(create={slot(0): endpoint(1)})))
    assert listed(entry(slot(0)[1], endpoint(1))) == batch[1].body


def test_an_element_of_a_set_is_its_key_alone() -> None:
    batch = messages(encode(Delta(create={(NODES, pack("fd00::1")): b""})))
    assert (10, listed(entry(pack("fd00::1")), map_="nodes")) == (batch[1].family, batch[1].body)


def test_an_update_is_deleted_and_created_in_one_transaction_deletions_first() -> None:
    batch = messages(
        encode(
            Delta(
                create={slot(2): endpoint(3)},
                update={slot(1): (endpoint(1), endpoint(2))},
                delete={slot(0): endpoint(1)},
            )
        )
    )
    assert [
        (DELETE, listed(entry(slot(0)[1]), entry(slot(1)[1]))),
        (NEW, listed(entry(slot(1)[1], endpoint(2)), entry(slot(2)[1], endpoint(3)))),
    ] == [(message.kind, message.body) for message in batch[1:-1]]


def test_many_elements_are_split_so_that_lengths_fit_16_bits() -> None:
    count = 5000
    batch = messages(encode(Delta(create={slot(n): endpoint(1) for n in range(count)})))
    assert len(batch) > 4
    assert max(len(message.body) for message in batch) < 1 << 16
    assert [0] * (len(batch) - 3) == [message.flags & ACK for message in batch[1:-2]]
    size = len(entry(slot(0)[1], endpoint(1)))
    head = len(listed())
    assert count == sum((len(message.body) - head) // size for message in batch[1:-1])


# ------------------------------------------------------------------------------------------------


class Kernel:
    """Stands for the socket: each `recv` gives the next of *answers*, or raises it."""

    def __init__(self, *answers: bytes | OSError) -> None:
        self.answers = list(answers)
        self.closed = False

    def send(self, data: bytes) -> int:
        return len(data)

    def recv(self, _size: int, flags: int = 0) -> bytes:
        if not self.answers:
            assert flags, "it would block for ever"
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
    monkeypatch.setattr(netlink, "_open", lambda: next(used))
    return kernels


def test_a_batch_that_is_acknowledged_is_written(opened: list[Kernel]) -> None:
    opened.append(Kernel(GOOD))
    Connection().write(DELTA)


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
        Connection().write(DELTA)
    assert "the kernel refused the change: Too many open files in system" == str(refused.value)


@pytest.mark.parametrize("code", [errno.ENOBUFS, errno.EINTR])
def test_after_a_failure_no_answer_left_unread_is_taken_for_the_next_ones(
    opened: list[Kernel], code: int
) -> None:
    opened += [Kernel(OSError(code, "lost"), failed(errno.EPERM)), Kernel(GOOD)]
    connection = Connection()
    with pytest.raises(KernelRefused, match="lost"):
        connection.write(DELTA)
    connection.write(DELTA)
    assert opened[0].closed


def dumped(*entries: bytes, flags: int = 0) -> bytes:
    return answer(0xA0C, bytes(4) + listed(*entries), flags)


def test_a_dump_comes_in_parts(opened: list[Kernel]) -> None:
    first, second = entry(slot(0)[1], endpoint(1)), entry(slot(1)[1], endpoint(2))
    opened.append(Kernel(dumped(first), dumped(second), DONE))
    assert [(slot(0), endpoint(1)), (slot(1), endpoint(2))] == [*Connection().elements(SLOTS)]


def test_a_dump_into_which_someone_wrote_is_no_dump(opened: list[Kernel]) -> None:
    opened += [Kernel(dumped(entry(slot(0)[1], endpoint(1)), flags=0x10), DONE), Kernel(DONE)]
    connection = Connection()
    with pytest.raises(InterruptedError):
        list(connection.elements(SLOTS))
    assert [] == [*connection.elements(SLOTS)]


@pytest.mark.parametrize(
    "last", [failed(errno.ENOENT), answer(3, struct.pack("=i", -errno.ENOENT))]
)
def test_a_dump_that_ends_in_an_error_is_one(opened: list[Kernel], last: bytes) -> None:
    opened += [Kernel(last), Kernel()]
    with pytest.raises(FileNotFoundError):
        list(Connection().elements(SLOTS))


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
    assert expected == Connection().table_comment("ip")


def test_the_generation_of_the_ruleset(opened: list[Kernel]) -> None:
    opened.append(Kernel(answer(0xA0F, bytes(4) + attribute(1, (7).to_bytes(4, "big")))))
    assert 7 == Connection().generation()
