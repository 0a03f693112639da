"""The conntrack table over ctnetlink: the entries that may be stale, and their deletion.

CAP_NET_ADMIN is needed and suffices.
"""

import errno
import os
from typing import Final

from groundplane.dataplanes.conntrack.entries import LAYOUTS, listing
from groundplane.dataplanes.conntrack.flows import Flow
from groundplane.errors import KernelRefused
from groundplane.model.service import Family, Protocol
from groundplane.netlink import ACK, AF, DUMP, REQUEST, Socket, message, netfilter

_SUBSYSTEM: Final = 1  # NFNL_SUBSYS_CTNETLINK
_GET, _DELETE = _SUBSYSTEM << 8 | 1, _SUBSYSTEM << 8 | 2


class Conntrack:
    """The conntrack table of the network namespace that the thread is in; use in one thread."""

    def __init__(self) -> None:
        self._netlink = Socket()

    def close(self) -> None:
        self._netlink.close()

    def flows(self, family: Family, protocol: Protocol) -> list[Flow]:
        """Return the entries of *family* and *protocol*, of TCP those without an answer.

        Raises KernelRefused when the kernel does not list its entries.
        The table is never at rest: one that ends or begins meanwhile may be missing, and is met
        the next time.
        """
        body = netfilter(AF[family]) + listing(protocol)
        layout = LAYOUTS[family, protocol]
        try:
            answers = self._netlink.ask(_GET, DUMP, body, whole=False)
            return [flow for answer in answers if (flow := layout.flow(answer))]
        except OSError as error:
            raise KernelRefused(f"the conntrack table is not listed: {error.strerror}") from None

    def delete(self, flow: Flow) -> bool:
        """Delete the entry of *flow*; False where it had ended by itself. Raises KernelRefused."""
        body = netfilter(AF[flow.family]) + LAYOUTS[flow.family, "UDP"].named(flow)
        try:
            complaint = self._netlink.commit(message(_DELETE, REQUEST | ACK, 0, body))
            code = complaint.code if complaint else 0
        except OSError as error:
            code = error.errno or errno.EIO
        if code not in (0, errno.ENOENT):
            raise KernelRefused(f"a conntrack entry is not deleted: {os.strerror(code)}")
        return code == 0
