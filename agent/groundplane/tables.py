"""Tables of nftables, asked over netlink: no process is started for it."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from groundplane.netlink import DUMP, Socket, attribute, attributes, netfilter

GET_TABLE, GET_CHAINS, _GET_RULES, GET_ELEMENTS = (
    10 << 8 | command for command in (1, 4, 7, 13)
)  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GET*
HEADER: Final = 4  # bytes of netfilter's header before an answer's attributes
_NAME, _SET = 1, 2  # NFTA_TABLE_NAME, as of chains and rules; NFTA_SET_ELEM_LIST_SET
_FLAGS: Final = 2  # NFTA_TABLE_FLAGS
ELEMENTS: Final = 3  # NFTA_SET_ELEM_LIST_ELEMENTS


def has_table(netlink: Socket, family: int, name: str) -> bool:
    """Return whether *family*, a number of the kernel's, has a table *name*, whoever made it."""
    try:
        return bool(list(netlink.ask(GET_TABLE, 0, _table(family, name))))
    except FileNotFoundError:
        return False


def digest_of(netlink: Socket, family: int, name: str, sets: Sequence[str]) -> bytes:
    """Return a digest of what that table is but for elements of other sets than *sets*.

    It has the table's flags, its chains, its rules with their handles, and elements in any order.
    FileNotFoundError where there is no such table.
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
