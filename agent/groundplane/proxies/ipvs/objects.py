"""The objects of IPVS: virtual servers, and the destinations behind each. Pure.

A key is bytes, like an nftables element. A virtual server's key has family, protocol, port and
address, or the mark of the packets that it takes. A destination's key is its server's, then its
own address and port. All numbers are in network order.

    family 4 | 6 . protocol . port (2) . address (4 | 16)                 by address
    family 4 | 6 . 0 . 0 (2) . mark (4)                                   by mark
    server . address (4 | 16) . port (2)                                  a destination
"""

import struct
from typing import Final, NamedTuple

from groundplane.kernel import owned
from groundplane.net.address import address_and_port, family_of, pack, unpack
from groundplane.net.protocols import NUMBERS, Family, Protocol
from groundplane.net.proxy import Forwarding

ServerKey = bytes

PERSISTENT: Final = 0x1  # IP_VS_SVC_F_PERSISTENT
# IP_VS_SVC_F_SCHED1 and 2, by the ends of their names: sh-fallback, mh-port.
_SCHEDULER_FLAGS: Final = {"fallback": 0x08, "port": 0x10}
FLAGS: Final = PERSISTENT | 0x08 | 0x10  # that we set; the others are the kernel's

_WIDTH: Final = {4: 4, 6: 16}
_server = struct.Struct(">BBH")


class Scheduling(NamedTuple):
    """How a virtual server balances: scheduler, flags, and persistence timeout in s."""

    scheduler: str
    flags: int = 0
    timeout: int = 0


# A virtual server's value, or a destination's: its weight, and in the bits above that its
# forwarding method.
Value = Scheduling | int
_WEIGHT_BITS: Final = 24
METHODS: Final[dict[Forwarding, int]] = {  # IP_VS_CONN_F_*
    "masquerading": 0,
    "tunnel": 2,
    "direct": 3,
}


def destination_value(weight: int, method: int) -> int:
    """Return the value of a destination with *weight* and *method*, a number of METHODS."""
    return method << _WEIGHT_BITS | weight


def weight_of(value: int) -> int:
    return value & (1 << _WEIGHT_BITS) - 1


def method_of(value: int) -> int:
    return value >> _WEIGHT_BITS


def server(address: str, protocol: Protocol, port: int) -> ServerKey:
    """Return the key of the virtual server at *address*."""
    number = 4 if family_of(address) == "IPv4" else 6
    return _server.pack(number, NUMBERS[protocol], port) + pack(address)


def marked_server(family: Family, protocol: Protocol, pool: int) -> ServerKey:
    """Return the key of the virtual server that takes packets by the mark of *pool*."""
    return _server.pack(4 if family == "IPv4" else 6, 0, 0) + owned.mark_of(
        protocol, pool
    ).to_bytes(4)


def flags_of(names: tuple[str, ...]) -> int:
    """Return the bits of a scheduler's flags."""
    return sum(_SCHEDULER_FLAGS[name.partition("-")[2]] for name in set(names))


def flag_names(value: Scheduling) -> list[str]:
    """Return the names of a scheduler's flags, excluding persistence."""
    return [
        f"{value.scheduler}-{end}" for end, bit in _SCHEDULER_FLAGS.items() if value.flags & bit
    ]


class VirtualServer(NamedTuple):
    """A decoded key. *mark* is 0 for a server with an address; with a mark, the address is ""."""

    family: int  # 4 or 6
    protocol: int
    address: str
    port: int
    mark: int


def width_of(key: ServerKey) -> int:
    """Return how many bytes of *key*, a server's or a destination's, are the server's key."""
    return 4 + (_WIDTH[key[0]] if key[1] else 4)


def is_destination(key: ServerKey) -> bool:
    return len(key) > width_of(key)


def server_of(key: ServerKey) -> VirtualServer:
    """Return the server of *key*, which is a server's or a destination's."""
    number, protocol, port = _server.unpack_from(key)
    rest = key[4 : width_of(key)]
    if protocol:
        return VirtualServer(number, protocol, unpack(rest), port, 0)
    return VirtualServer(number, 0, "", 0, int.from_bytes(rest))


def drains(key: ServerKey) -> bool:
    """Whether connections of the destination *key* continue after its removal: TCP's do."""
    protocol = key[1]
    if protocol:
        return protocol == NUMBERS["TCP"]
    return int.from_bytes(key[4:8]) & owned.MARK_PROTOCOL_MASK == owned.MARK_PROTOCOLS["TCP"]


def target_of(key: ServerKey) -> tuple[str, int]:
    """Return address and port of the destination *key*."""
    return address_and_port(key[width_of(key) :])
