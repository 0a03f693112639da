"""What is there of ours, undecoded: enough to say whether it has changed, at a tenth of the cost."""

import socket
import struct
from typing import Final

from groundplane.kernel.netlink import AF, DUMP, Socket, attributes
from groundplane.kernel.owned import BRIDGE, OVERLAY

LinkFingerprint = tuple[object, ...]

_GET_ADDRESSES, _GET_ROUTES = 22, 26  # rtnetlink(7): RTM_GETADDR, RTM_GETROUTE
_address: Final = struct.Struct("=BBBBI")  # family, prefix, flags, scope, index of the link
_route: Final = struct.Struct("=BBBBBBBBI")  # family, prefixes, TOS, table, protocol, ..., flags
# How long an address lives, and how a route was used: they differ each time.
_ADDRESS_TIMES, _ROUTE_TIMES = 6, 12


def fingerprint(netlink: Socket, protocol: int) -> LinkFingerprint:
    """Return what stands for the routes with *protocol*, and for our links with their addresses.

    OSError where the kernel does not tell, or others changed them meanwhile.
    """
    links = [_index(name) for name in (BRIDGE, OVERLAY)]
    found: list[object] = [*links]
    for family in AF.values():
        asked = _route.pack(family, 0, 0, 0, 0, protocol, 0, 0, 0)
        found += _told(netlink, _GET_ROUTES, asked, _route.size, _ROUTE_TIMES)
        if links[0]:
            asked = _address.pack(family, 0, 0, 0, links[0])
            found += _told(netlink, _GET_ADDRESSES, asked, _address.size, _ADDRESS_TIMES)
    return tuple(found)


def _told(
    netlink: Socket, kind: int, asked: bytes, header: int, without: int
) -> list[tuple[object, ...]]:
    return [
        (answer[:header], *(each for each in attributes(answer, header) if each[0] != without))
        for answer in netlink.ask(kind, DUMP, asked)
    ]


def _index(name: str) -> int:
    """Return the index of a link, 0 where there is none."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0
