"""nf_tables over netlink: writes batches of elements, reads elements, table comments and rules."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from groundplane.dataplanes.nftables.batch import (
    ExpiringElement,
    elements_of,
    expiring_of,
    name_of,
    target,
)
from groundplane.dataplanes.nftables.maps import Element, Map
from groundplane.errors import ChangeRejected, KernelRefused
from groundplane.kernel.netlink import DUMP, Socket, attribute, attributes, netfilter
from groundplane.kernel.tables import (
    FAMILIES,
    GET_ELEMENTS,
    GET_TABLE,
    HEADER,
    SUBSYSTEM,
    BatchMessage,
    Table,
    digest_of,
    has_table,
    transaction,
)

_GET_SET, _GET_GENERATION = SUBSYSTEM << 8 | 10, SUBSYSTEM << 8 | 16
_USERDATA: Final = 6  # NFTA_TABLE_USERDATA


class NftConnection:
    """A netlink socket to nf_tables of the thread's network namespace."""

    def __init__(self) -> None:
        self._netlink = Socket()

    def close(self) -> None:
        self._netlink.close()

    @property
    def port(self) -> int:
        return self._netlink.port

    def commit(self, messages: Sequence[BatchMessage]) -> None:
        """Send *messages* in one transaction.

        ChangeRejected if the kernel rejects one of them; KernelRefused if it accepts no batches.
        """
        try:
            complaint = self._netlink.commit(transaction(messages))
        except OSError as error:
            raise KernelRefused(f"the kernel took no change: {error.strerror}") from None
        if complaint is not None:
            what = name_of(messages, complaint.sequence, complaint.offset)
            raise ChangeRejected(f"the kernel refused {what}: {_reason(complaint.code)}")

    def table_comment(self, table: Table) -> str | None:
        """Return the comment of *table*; None if it does not exist."""
        body = netfilter(FAMILIES[table.family]) + attribute(1, table.name.encode() + b"\0")
        try:
            answers = list(self._netlink.ask(GET_TABLE, 0, body))
        except FileNotFoundError:
            return None
        userdata = dict(attributes(answers[0], HEADER)).get(_USERDATA, b"")
        if len(userdata) < 2 or userdata[0] != 0:  # nft's own type, length, value
            return ""
        return userdata[2 : 2 + userdata[1]].rstrip(b"\0").decode(errors="replace")

    def has_table(self, table: Table) -> bool:
        """Return whether *table* exists, regardless of its creator."""
        return has_table(self._netlink, FAMILIES[table.family], table.name)

    def has_set(self, table: Table, name: str) -> bool:
        """Return whether *table* exists and has a set or map *name*."""
        names = (1, table.name), (2, name)  # NFTA_SET_TABLE, NFTA_SET_NAME
        body = b"".join(attribute(kind, text.encode() + b"\0") for kind, text in names)
        try:
            return bool(
                list(self._netlink.ask(_GET_SET, 0, netfilter(FAMILIES[table.family]) + body))
            )
        except FileNotFoundError:
            return False

    def framework_there(self, table: Table, constant: Sequence[str]) -> bytes:
        """Return a digest of *table* without the elements that we change.

        It covers its flags, chains, rules (with their handles) and elements of the sets *constant*.
        """
        return digest_of(self._netlink, FAMILIES[table.family], table.name, constant)

    def elements(self, map_: Map) -> Iterator[tuple[Element, bytes]]:
        """Yield the kernel's elements of *map_*."""
        body = netfilter(FAMILIES[map_.table.family]) + target(map_)
        for answer in self._netlink.ask(GET_ELEMENTS, DUMP, body):
            yield from elements_of(map_, answer[HEADER:])

    def kept(self, map_: Map, table: Table) -> Iterator[ExpiringElement]:
        """Yield the expiring elements of the counterpart of *map_* in *table*.

        There are none if that map does not exist.
        """
        body = netfilter(FAMILIES[table.family]) + target(map_, table)
        with suppress(FileNotFoundError):
            for answer in self._netlink.ask(GET_ELEMENTS, DUMP, body, whole=False):
                yield from expiring_of(map_, answer[HEADER:])

    def generation(self) -> int:
        """Return the ruleset's generation ID: it rises with every transaction of any program."""
        (answer,) = self._netlink.ask(_GET_GENERATION, 0, netfilter(0))
        return int.from_bytes(dict(attributes(answer, HEADER))[1], "big")


def _reason(code: int) -> str:
    """Return the meaning of the error *code* for a map: some differ from that for files."""
    known = {errno.ENFILE: "it is full", errno.ENOENT: "it is not there"}
    return known.get(code, os.strerror(code))
