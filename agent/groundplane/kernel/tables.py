"""Tables of nftables, listed and removed over netlink.

This avoids nft(8), which may crash on other programs' tables that a newer nft wrote.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from typing import Final, NamedTuple

from groundplane.errors import KernelRefused
from groundplane.kernel.netlink import (
    CREATE,
    DUMP,
    REQUEST,
    Socket,
    acknowledging,
    attribute,
    attributes,
    message,
    netfilter,
)

SUBSYSTEM: Final = 10  # NFNL_SUBSYS_NFTABLES
# NFPROTO_*, linux/netfilter.h
FAMILIES: Final = {"inet": 1, "ip": 2, "arp": 3, "netdev": 5, "bridge": 7, "ip6": 10}
_BEGIN, _END = 0x10, 0x11  # NFNL_MSG_BATCH_*
_NEW_TABLE, _DELETE_TABLE = SUBSYSTEM << 8 | 0, SUBSYSTEM << 8 | 2
GET_TABLE, GET_CHAINS, _GET_RULES, GET_ELEMENTS = (
    SUBSYSTEM << 8 | command for command in (1, 4, 7, 13)
)  # NFT_MSG_GET*
HEADER: Final = 4  # bytes of netfilter's header before an answer's attributes
_NAME, _SET = 1, 2  # NFTA_TABLE_NAME, as of chains and rules; NFTA_SET_ELEM_LIST_SET
_FLAGS: Final = 2  # NFTA_TABLE_FLAGS
ELEMENTS: Final = 3  # NFTA_SET_ELEM_LIST_ELEMENTS


class Table(NamedTuple):
    """A table by its family, as nft calls it, and its name."""

    family: str
    name: str

    def __str__(self) -> str:
        return f"{self.family} {self.name}"


class BatchMessage(NamedTuple):
    """A message that waits for its number in a transaction; *what* tells people what it makes."""

    kind: int
    flags: int
    body: bytes
    what: str

    def numbered(self, sequence: int) -> bytes:
        return message(self.kind, REQUEST | self.flags, sequence, self.body)


def transaction(messages: Sequence[BatchMessage]) -> bytes:
    """Return *messages*, at least one, as one batch: the kernel commits all of them or none.

    They are numbered from 1, and the last one asks for an acknowledgement.
    """
    begin = message(_BEGIN, REQUEST, 0, netfilter(0, SUBSYSTEM))
    end = message(_END, REQUEST, 0, netfilter(0, SUBSYSTEM))
    numbered = [each.numbered(number) for number, each in enumerate(messages, start=1)]
    return b"".join([begin, *numbered[:-1], acknowledging(numbered[-1]), end])


def list_tables() -> list[Table]:
    """Return all programs' tables of this network namespace; KernelRefused without an answer."""
    names = {number: name for name, number in FAMILIES.items()}
    found = []
    try:
        with closing(Socket()) as netlink:
            for answer in netlink.ask(GET_TABLE, DUMP, netfilter(0), whole=False):
                name = (
                    dict(attributes(answer, HEADER))[_NAME].rstrip(b"\0").decode(errors="replace")
                )
                found.append(Table(names.get(answer[0], str(answer[0])), name))
    except OSError as error:
        raise KernelRefused(f"the kernel shows no tables: {error.strerror}") from None
    return found


def removal(tables: Iterable[Table]) -> list[BatchMessage]:
    """Return the messages that remove *tables*, whether they exist or not."""
    found: list[BatchMessage] = []
    for each in tables:
        body = _table(FAMILIES[each.family], each.name)
        found.append(BatchMessage(_NEW_TABLE, CREATE, body, f"table {each}"))
        found.append(BatchMessage(_DELETE_TABLE, 0, body, f"removal of table {each}"))
    return found


def remove_tables(tables: Iterable[Table]) -> None:
    """Remove *tables*, whether they exist or not, in one transaction. Raises KernelRefused."""
    try:
        with closing(Socket()) as netlink:
            complaint = netlink.commit(transaction(removal(tables)))
    except OSError as error:
        raise KernelRefused(f"tables cannot be removed: {error.strerror}") from None
    if complaint is not None:
        raise KernelRefused(f"tables cannot be removed: {os.strerror(complaint.code)}")


def has_table(netlink: Socket, family: int, name: str) -> bool:
    """Return whether *family*, a kernel number, has a table *name*, of any program."""
    try:
        return bool(list(netlink.ask(GET_TABLE, 0, _table(family, name))))
    except FileNotFoundError:
        return False


def digest_of(netlink: Socket, family: int, name: str, sets: Sequence[str]) -> bytes:
    """Return a digest of that table, without the elements of sets other than *sets*.

    It covers the table's flags, its chains, its rules with their handles, and elements in any
    order. FileNotFoundError if the table does not exist.
    """
    table = _table(family, name)
    digest = hashlib.sha256()
    for answer in netlink.ask(GET_TABLE, 0, table):
        digest.update(dict(attributes(answer, HEADER)).get(_FLAGS, b""))
    for answer in netlink.ask(GET_CHAINS, DUMP, table):  # of all tables
        if answer[HEADER:].startswith(table[HEADER:]):
            digest.update(answer[HEADER:])
    for answer in netlink.ask(_GET_RULES, DUMP, table):
        digest.update(answer[HEADER:])
    for each in sets:
        for entry in sorted(_entries(netlink, table + attribute(_SET, each.encode() + b"\0"))):
            digest.update(entry)
    return digest.digest()


def _table(family: int, name: str) -> bytes:
    return netfilter(family) + attribute(_NAME, name.encode() + b"\0")


def _entries(netlink: Socket, body: bytes) -> Iterator[bytes]:
    """Yield the list entries of a set; none where there is no such set."""
    with suppress(FileNotFoundError):
        for answer in netlink.ask(GET_ELEMENTS, DUMP, body):
            for kind, listed in attributes(answer, HEADER):
                if kind == ELEMENTS:
                    yield from (entry for _, entry in attributes(listed))
