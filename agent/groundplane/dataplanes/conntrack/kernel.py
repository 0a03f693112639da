"""The conntrack table over ctnetlink: the entries that may be stale, and their deletion.

CAP_NET_ADMIN is needed and suffices.
"""

import errno
import os
from collections.abc import Collection, Iterator
from itertools import product
from socket import AF_UNSPEC
from typing import Final

from groundplane.dataplanes.conntrack.entries import LAYOUTS, listing, reader
from groundplane.dataplanes.conntrack.flows import Flow
from groundplane.errors import KernelRefused
from groundplane.kernel.netlink import (
    ACK,
    AF,
    DUMP,
    REQUEST,
    Socket,
    attributes,
    message,
    netfilter,
)
from groundplane.net.protocols import FAMILIES, Protocol

_SUBSYSTEM: Final = 1  # NFNL_SUBSYS_CTNETLINK
_GET, _DELETE, _GET_STATS = (_SUBSYSTEM << 8 | command for command in (1, 2, 5))
_GLOBAL_ENTRIES: Final = 1  # CTA_STATS_GLOBAL_ENTRIES
# Reading and skipping this many entries is faster than scanning 262,144 buckets once more.
_FEW: Final = 1000


class Conntrack:
    """The conntrack table of the thread's network namespace; use in one thread."""

    def __init__(self) -> None:
        self._netlink = Socket()

    def close(self) -> None:
        self._netlink.close()

    def flows(self, protocols: Collection[Protocol]) -> list[Flow]:
        """Return the entries of *protocols*, for TCP only the unanswered ones.

        Raises KernelRefused when the kernel does not list its entries.
        The table changes constantly: an entry that ends or begins meanwhile may be missing; the
        next listing finds it.
        """
        try:
            return [*self._flows(protocols)]
        except OSError as error:
            raise KernelRefused(f"the conntrack table is not listed: {error.strerror}") from None

    def _flows(self, protocols: Collection[Protocol]) -> Iterator[Flow]:
        """List all entries at once if there are few, else each family and protocol separately.

        The kernel scans all its buckets for each listing, and can filter only by one family and
        protocol.
        """
        if not protocols:
            return
        if self._count() <= _FEW:
            yield from self._listed(AF_UNSPEC, b"", protocols)
            return
        for family, protocol in product(FAMILIES, protocols):
            yield from self._listed(AF[family], listing(protocol), (protocol,))

    def _listed(self, family: int, asked: bytes, protocols: Collection[Protocol]) -> Iterator[Flow]:
        read = reader(protocols)
        for answer in self._netlink.ask(_GET, DUMP, netfilter(family) + asked, whole=False):
            if flow := read(answer):
                yield flow

    def _count(self) -> int:
        """Return how many entries there are, of all families and protocols."""
        (answer,) = self._netlink.ask(_GET_STATS, 0, netfilter(AF_UNSPEC))
        return int.from_bytes(dict(attributes(answer, 4))[_GLOBAL_ENTRIES], "big")

    def delete(self, flow: Flow) -> bool:
        """Delete the entry of *flow*; False if it had already ended. Raises KernelRefused."""
        body = netfilter(AF[flow.family]) + LAYOUTS[flow.family, "UDP"].named(flow)
        try:
            complaint = self._netlink.commit(message(_DELETE, REQUEST | ACK, 0, body))
            code = complaint.code if complaint else 0
        except OSError as error:
            code = error.errno or errno.EIO
        if code not in (0, errno.ENOENT):
            raise KernelRefused(f"a conntrack entry is not deleted: {os.strerror(code)}")
        return code == 0
