"""What is done with the conntrack table, and what the kernel may answer; none is asked."""

import errno
import os
from collections.abc import Iterator

import pytest

from groundplane.dataplanes.conntrack import Conntrack, Flow, kernel
from groundplane.errors import KernelRefused
from groundplane.netlink import Complaint
from tests.dataplanes.conntrack.entries import entry

FLOWS = [
    Flow(bytes([10, 0, 0, last]), 40000, b"\x0a\x60\0\x0a", 53, b"\x0a\xf4\1\2", 53, last)
    for last in (1, 2, 3)
]


class Table:
    """Stands for the netlink socket: a table of entries, and how deletions go."""

    def __init__(self, *entries: Flow, codes: tuple[int, ...] = (), failure: int = 0) -> None:
        self.entries, self.codes, self.failure = list(entries), list(codes), failure

    def ask(self, _kind: int, _flags: int, _body: bytes, *, whole: bool) -> Iterator[bytes]:
        assert not whole
        yield from map(entry, self.entries)
        if self.failure:
            raise OSError(self.failure, os.strerror(self.failure))

    def commit(self, _message: bytes) -> Complaint | None:
        if self.codes[0] == errno.ENOBUFS:
            raise OSError(errno.ENOBUFS, "lost")
        code = self.codes.pop(0)
        return Complaint(code, 0, None) if code else None


def conntrack(monkeypatch: pytest.MonkeyPatch, table: Table) -> Conntrack:
    monkeypatch.setattr(kernel, "Socket", lambda: table)
    return Conntrack()


def test_an_entry_that_ended_by_itself_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    table = conntrack(monkeypatch, Table(*FLOWS, codes=(0, errno.ENOENT, 0)))
    assert [True, False, True] == [table.delete(each) for each in table.flows("IPv4", "UDP")]


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
        [asked.delete(each) for each in asked.flows("IPv4", "UDP")]
    assert told == str(refused.value)
