"""rtnetlink routes that carry their own tunnel: one for each peer, and no neighbour entries.

The device is one VXLAN device without an Ethernet header; the route sets a packet's VNI and remote
address (LWTUNNEL_ENCAP_IP, include/uapi/linux/lwtunnel.h). Pure.
"""

import struct
from collections.abc import Mapping
from typing import Final

from groundplane.dataplanes.links.route import Route
from groundplane.kernel.netlink import (
    ACK,
    AF,
    CREATE,
    REQUEST,
    attribute,
    attributes,
    message,
    nest,
)
from groundplane.net.address import BITS, family_of, network, pack, unpack

_NEW_ROUTE: Final = 24
_REPLACE, _EXCLUSIVE = 0x100, 0x200
_DESTINATION, _DEVICE, _SOURCE, _TYPE, _ENCAP = 1, 4, 7, 21, 22  # RTA_*
_VNI, _FAR_END = 1, 2  # LWTUNNEL_IP_* and, the same, LWTUNNEL_IP6_*
_ENCAP_IP: Final = {"IPv4": 2, "IPv6": 4}
_SCOPE_LINK, _UNICAST = 253, 1
_MAIN: Final = 254
_rtmsg = struct.Struct("=BBBBBBBBI")
_FLAGS: Final = {"add": CREATE | _EXCLUSIVE, "replace": CREATE | _REPLACE}


def request(verb: str, destination: str, route: Route, device: int, protocol: int) -> bytes:
    """Return the message that sets *route*, which has a tunnel, for *destination*.

    *verb* is "add", for a route that must not exist, or "replace"; *device* is the index of its
    device.
    """
    family = family_of(destination)
    cidr = network(destination)
    head = _rtmsg.pack(AF[family], cidr.prefixlen, 0, 0, _MAIN, protocol, _SCOPE_LINK, _UNICAST, 0)
    body = (
        head
        + attribute(_DESTINATION, cidr.network.packed)
        + attribute(_DEVICE, struct.pack("=I", device))
        + attribute(_SOURCE, pack(route.source))
        + attribute(_TYPE, struct.pack("=H", _ENCAP_IP[family_of(route.tunnel)]))
        + nest(
            _ENCAP,
            attribute(_VNI, struct.pack("!Q", route.vni)),
            attribute(_FAR_END, pack(route.tunnel)),
        )
    )
    return message(_NEW_ROUTE, REQUEST | ACK | _FLAGS[verb], 1, body)


def tunnel_of(shown: Mapping[str, object]) -> tuple[str, int]:
    """Return remote address and VNI of the tunnel of a route as pyroute2 shows it; "" for none."""
    kind, encap = shown.get("RTA_ENCAP_TYPE"), shown.get("RTA_ENCAP")
    if kind not in _ENCAP_IP.values() or not isinstance(encap, str):
        return "", 0
    found = dict(attributes(bytes.fromhex(encap.replace(":", ""))))
    far_end, vni = found.get(_FAR_END, b""), found.get(_VNI, bytes(8))
    if len(far_end) * 8 not in BITS.values() or len(vni) != 8:
        return "", 0
    return unpack(far_end), int.from_bytes(vni, "big")
