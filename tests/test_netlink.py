"""Netlink's framing, byte for byte, and what the socket does when the kernel fails; none is asked."""

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.kernel import netlink
from groundplane.kernel.netlink import (
    ACK,
    DUMP,
    NetlinkMessage,
    Socket,
    acknowledging,
    attribute,
    attributes,
    message,
    messages,
    nest,
    netfilter,
)

KIND = 0x101


@given(
    parts=st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=8),
    before=st.sampled_from([b"", bytes(4)]),
)
def test_attributes_are_read_as_they_are_written(
    parts: list[tuple[int, bytes]], before: bytes
) -> None:
    body = before + b"".join(attribute(*part) for part in parts)
    assert parts == [*attributes(body, len(before))]
    assert 0 == len(body) % 4


def test_nested_attributes() -> None:
    nested = nest(1, attribute(2, b"abc"), attribute(3, b""))
    assert struct.pack("=HH", 16, 0x8001) == nested[:4]
    ((kind, payload),) = attributes(nested)
    assert (1, [(2, b"abc"), (3, b"")]) == (kind, [*attributes(payload)])


@given(bodies=st.lists(st.binary(max_size=40).map(lambda body: body + bytes(-len(body) % 4))))
def test_messages_are_read_as_they_are_written(bodies: list[bytes]) -> None:
    datagram = b"".join(message(KIND, 3, 7, body) for body in bodies)
    assert [NetlinkMessage(KIND, 3, body) for body in bodies] == [*messages(datagram)]


@pytest.mark.parametrize("broken", [bytes(4), bytes(16), b"\2\0\0\0" + bytes(12), b"\1"])
def test_what_is_broken_is_not_read_for_ever(broken: bytes) -> None:
    assert [] == [*attributes(broken)]
    assert [] == [*messages(broken)]


def test_a_message_that_asks_for_an_acknowledgement() -> None:
    sent = message(KIND, 1, 7, netfilter(2, 10))
    assert message(KIND, 1 | ACK, 7, netfilter(2, 10)) == acknowledging(sent)


# ------------------------------------------------------------------------------------------------


class Kernel:
    """Stands for the socket: each `recv` gives the next of *answers*, or raises it."""

    def __init__(self, *answers: bytes | OSError) -> None:
        self.answers = list(answers)
        self.closed = False
        self.buffer = 1 << 18
        self.sent: list[bytes] = []

    def send(self, datagram: bytes) -> int:
        self.sent.append(datagram)
        return len(datagram)

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
        return self.buffer

    def setsockopt(self, _level: int, _name: int, value: int) -> None:
        self.buffer = value

    def close(self) -> None:
        self.closed = True


def failed(code: int) -> bytes:
    return message(2, 0, 0, struct.pack("=i", -code) + bytes(16))


GOOD, DONE = failed(0), message(3, 0, 0, bytes(4))
PART = [message(KIND, 2, 0, f"part{n}".ljust(8).encode()) for n in range(3)]
BODIES = [part[16:] for part in PART]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Kernel]:
    """Return a list that tests fill with the sockets that are opened one after the other."""
    kernels: list[Kernel] = []
    used = iter(kernels)
    monkeypatch.setattr(netlink, "_open", lambda _protocol: next(used))
    return kernels


def test_a_dump_comes_in_parts(opened: list[Kernel]) -> None:
    opened.append(Kernel(PART[0] + PART[1], PART[2], DONE))
    assert BODIES == [*Socket().ask(KIND, DUMP, b"")]
    ((_, kind, flags, sequence, _),) = [struct.unpack("=IHHII", opened[0].sent[0])]
    assert (KIND, DUMP | 1, 1) == (kind, flags, sequence)


def test_a_single_answer_needs_no_end(opened: list[Kernel]) -> None:
    opened.append(Kernel(PART[0], PART[1]))
    socket = Socket()
    assert [BODIES[0]] == [*socket.ask(KIND, 0, b"")]
    assert [BODIES[1]] == [*socket.ask(KIND, 0, b"")]


@pytest.mark.parametrize("last", [failed(errno.ENOENT), message(3, 0, 0, struct.pack("=i", -2))])
def test_an_answer_may_be_an_error(opened: list[Kernel], last: bytes) -> None:
    opened += [Kernel(PART[0], last)]
    with pytest.raises(FileNotFoundError):
        [*Socket().ask(KIND, DUMP, b"")]
    assert not opened[0].closed  # nothing is left unread, and others know it by its port


INTERRUPTED = message(KIND, 0x12, 0, BODIES[1])


def test_a_dump_into_which_someone_wrote_is_no_dump(opened: list[Kernel]) -> None:
    opened += [Kernel(PART[0], INTERRUPTED, DONE), Kernel(PART[2], DONE)]
    socket = Socket()
    with pytest.raises(InterruptedError):
        [*socket.ask(KIND, DUMP, b"")]
    assert [BODIES[2]] == [*socket.ask(KIND, DUMP, b"")]
    assert opened[0].closed


def test_its_parts_are_had_where_they_are_of_use(opened: list[Kernel]) -> None:
    opened.append(Kernel(PART[0], INTERRUPTED, DONE))
    assert BODIES[:2] == [*Socket().ask(KIND, DUMP, b"", whole=False)]


def test_a_reader_that_wants_no_more_leaves_nothing_unread(opened: list[Kernel]) -> None:
    opened += [Kernel(PART[0], PART[1], DONE), Kernel(PART[2], DONE)]
    socket = Socket()
    answers = socket.ask(KIND, DUMP, b"")
    assert BODIES[0] == next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert [BODIES[2]] == [*socket.ask(KIND, DUMP, b"")]


@pytest.mark.parametrize("code", [errno.ENOBUFS, errno.EINTR])
def test_after_a_failure_the_socket_is_another_one(opened: list[Kernel], code: int) -> None:
    opened += [Kernel(OSError(code, "lost"), failed(errno.EPERM)), Kernel(GOOD)]
    socket = Socket()
    with pytest.raises(OSError, match="lost"):
        socket.commit(b"")
    assert socket.commit(b"") is None
    assert opened[0].closed


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ((GOOD,), 0),
        ((failed(errno.ENOENT),), errno.ENOENT),
        ((failed(errno.ENFILE), failed(errno.ENOENT)), errno.ENFILE),
        ((failed(errno.ENFILE), GOOD), errno.ENFILE),
        ((failed(errno.ENFILE) + GOOD,), errno.ENFILE),
        ((PART[0], GOOD), 0),
    ],
)
def test_how_a_batch_went_is_its_first_error(
    opened: list[Kernel], answers: tuple[bytes, ...], code: int
) -> None:
    opened.append(Kernel(*answers))
    complaint = Socket().commit(b"")
    assert code == (complaint.code if complaint else 0)


def test_a_large_batch_gets_the_room_that_it_needs(opened: list[Kernel]) -> None:
    opened.append(Kernel(GOOD, GOOD))
    socket = Socket()
    socket.commit(bytes(1000))
    assert 1 << 18 == opened[0].buffer
    socket.commit(bytes(1 << 18))
    assert 1 << 19 == opened[0].buffer
