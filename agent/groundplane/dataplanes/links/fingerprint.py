"""Our routes and links, undecoded: enough to detect a change, at a tenth of the cost."""

import socket
import struct
from typing import Final

from groundplane.kernel.netlink import AF, DUMP, Socket, attributes
from groundplane.kernel.owned import BRIDGE, OVERLAY

LinkFingerprint = tuple[object, ...]

_GET_ADDRESSES, _GET_ROUTES = 22, 26  # rtnetlink(7): RTM_GETADDR, RTM_GETROUTE
_address: Final = struct.Struct("=BBBBI")  # family, prefix, flags, scope, index of the link
_route: Final = struct.Struct("=BBBBBBBBI")  # family, prefixes, TOS, table, protocol, ..., flags
# The lifetime of an address and the usage of a route: they differ each time.
_ADDRESS_TIMES, _ROUTE_TIMES = 6, 12


def fingerprint(netlink: Socket, protocol: int) -> LinkFingerprint:
    """Return a fingerprint of the routes with *protocol*, and of our links with their addresses.

    OSError if the kernel does not list them, or if others changed them meanwhile.
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
    """Return the index of a link; 0 if it does not exist."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0
