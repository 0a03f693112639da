"""The conntrack table over ctnetlink: its UDP entries, and their deletion.

CAP_NET_ADMIN is needed and suffices.
"""

import errno
import os
from collections.abc import Iterable
from typing import Final, NamedTuple

from groundplane.dataplanes.conntrack.entries import LAYOUTS, ONLY_UDP
from groundplane.dataplanes.conntrack.flows import Expectation, Flow, Scope, stale
from groundplane.errors import KernelRefused
from groundplane.model.service import Family
from groundplane.netlink import ACK, AF, DUMP, REQUEST, Socket, message, netfilter

_SUBSYSTEM: Final = 1  # NFNL_SUBSYS_CTNETLINK
_GET, _DELETE = _SUBSYSTEM << 8 | 1, _SUBSYSTEM << 8 | 2


class Cleaned(NamedTuple):
    """What one look at the table came to, in entries of UDP.

    A *stale* one that was not *deleted* had ended by itself.
    """

    seen: int
    stale: int
    deleted: int


class Conntrack:
    """The conntrack table of the network namespace that the thread is in; use in one thread."""

    def __init__(self) -> None:
        self._netlink = Socket()

    def close(self) -> None:
        self._netlink.close()

    def flows(self, family: Family) -> list[Flow]:
        """Return the UDP entries of *family*; KernelRefused when there is no list to be had.

        The table is never at rest: one that ends or begins meanwhile may be missing, and is met
        the next time.
        """
        body = netfilter(AF[family]) + ONLY_UDP
        layout = LAYOUTS[family]
        try:
            answers = self._netlink.ask(_GET, DUMP, body, whole=False)
            return [flow for answer in answers if (flow := layout.flow(answer))]
        except OSError as error:
            raise KernelRefused(f"the conntrack table is not listed: {error.strerror}") from None

    def delete(self, flow: Flow) -> bool:
        """Delete the entry of *flow*; False where it had ended by itself. Raises KernelRefused."""
        family: Family = "IPv4" if len(flow.destination) == 4 else "IPv6"
        body = netfilter(AF[family]) + LAYOUTS[family].named(flow)
        try:
            complaint = self._netlink.commit(message(_DELETE, REQUEST | ACK, 0, body))
            code = complaint.code if complaint else 0
        except OSError as error:
            code = error.errno or errno.EIO
        if code not in (0, errno.ENOENT):
            raise KernelRefused(f"a conntrack entry is not deleted: {os.strerror(code)}")
        return code == 0


def clean(
    conntrack: Conntrack, family: Family, expectations: Iterable[Expectation], scope: Scope
) -> Cleaned:
    """Delete what `stale` finds among the UDP entries of *family*. Raises KernelRefused.

    To be called after the rules have changed, since rules make entries; and now and then, for
    what a packet made while they changed.
    """
    found = conntrack.flows(family)
    leaving = stale(found, expectations, scope)
    deleted = sum(conntrack.delete(flow) for flow in leaving)
    return Cleaned(len(found), len(leaving), deleted)
