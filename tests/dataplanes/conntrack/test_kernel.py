"""What is done with the conntrack table, and what the kernel may answer; none is asked."""

import errno
import os
from collections.abc import Iterator

import msgspec
import pytest

from groundplane.dataplanes.conntrack import Conntrack, Flow, kernel
from groundplane.errors import KernelRefused
from groundplane.kernel.netlink import MessageError, attribute, netfilter
from groundplane.net.address import pack
from tests.dataplanes.conntrack.entries import entry

FLOWS = [
    Flow(bytes([10, 0, 0, last]), 40000, b"\x0a\x60\0\x0a", 53, b"\x0a\xf4\1\2", 53, last)
    for last in (1, 2, 3)
]


class Table:
    """Stands for the netlink socket: a table of entries, and how deletions go.

    It lists the entries of the family that it is asked for, and filters nothing else.
    """

    def __init__(
        self, *entries: Flow, count: int = 0, codes: tuple[int, ...] = (), failure: int = 0
    ) -> None:
        self.entries, self.codes, self.failure = list(entries), list(codes), failure
        self.count, self.listings = count, 0

    def ask(self, kind: int, _flags: int, body: bytes, *, whole: bool = True) -> Iterator[bytes]:
        if kind & 0xFF == 5:  # IPCTNL_MSG_CT_GET_STATS
            yield netfilter(0) + attribute(1, self.count.to_bytes(4, "big"))
            return
        assert not whole
        self.listings += 1
        yield from (each for each in map(entry, self.entries) if body[0] in (0, each[0]))
        if self.failure:
            raise OSError(self.failure, os.strerror(self.failure))

    def commit(self, _message: bytes) -> MessageError | None:
        if self.codes[0] == errno.ENOBUFS:
            raise OSError(errno.ENOBUFS, "lost")
        code = self.codes.pop(0)
        return MessageError(code, 0, None) if code else None


def conntrack(monkeypatch: pytest.MonkeyPatch, table: Table) -> Conntrack:
    monkeypatch.setattr(kernel, "Socket", lambda: table)
    return Conntrack()


@pytest.mark.parametrize(("count", "listings"), [(6, 1), (1000, 1), (1001, 4)])
def test_few_entries_are_listed_at_once(
    monkeypatch: pytest.MonkeyPatch, count: int, listings: int
) -> None:
    """The kernel filters by one family and protocol, and goes through its whole table each time."""
    udp, tcp = FLOWS[0], msgspec.structs.replace(FLOWS[1], protocol=6)
    sctp = Flow(pack("fd00::9"), 40000, pack("fd00:96::a"), 53, pack("fd00:244::2"), 53, 4, 0, 132)
    table = Table(udp, tcp, sctp, count=count)
    assert {udp, sctp} == {*conntrack(monkeypatch, table).flows(["UDP", "SCTP"])}
    assert listings == table.listings


def test_nothing_is_listed_for_no_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(*FLOWS)
    assert [] == conntrack(monkeypatch, table).flows([])
    assert table.listings == 0


def test_an_entry_that_ended_by_itself_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    table = conntrack(monkeypatch, Table(*FLOWS, codes=(0, errno.ENOENT, 0)))
    assert [True, False, True] == [table.delete(each) for each in table.flows(["UDP"])]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (Table(failure=errno.EPERM), "the conntrack table is not listed: Operation not permitted"),
        (
            Table(FLOWS[0], codes=(errno.EPERM,)),
            "a conntrack entry is not deleted: Operation not permitted",
        ),
        (
            Table(FLOWS[0], codes=(errno.ENOBUFS,)),
            "a conntrack entry is not deleted: No buffer space available",
        ),
    ],
)
def test_what_the_kernel_refuses_is_said(
    monkeypatch: pytest.MonkeyPatch, table: Table, told: str
) -> None:
    asked = conntrack(monkeypatch, table)
    with pytest.raises(KernelRefused) as refused:
        [asked.delete(each) for each in asked.flows(["UDP"])]
    assert told == str(refused.value)
