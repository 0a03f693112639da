"""IPVS's generic netlink messages as bytes, both ways. Pure.

Format: include/uapi/linux/ip_vs.h, and net/netfilter/ipvs/ip_vs_ctl.c for the required attributes.
"""

import struct
import sys
from functools import lru_cache
from typing import Final, NamedTuple

from groundplane.kernel.netlink import AF, attribute, attributes, nest
from groundplane.net.address import pack
from groundplane.proxies.ipvs.objects import (
    FLAGS,
    PERSISTENT,
    Scheduling,
    ServerKey,
    Value,
    destination_value,
    method_of,
    server_of,
    weight_of,
    width_of,
)

VERSION: Final = 1
NEW_SERVICE, SET_SERVICE, DEL_SERVICE, GET_SERVICE = 1, 2, 3, 4
NEW_DEST, SET_DEST, DEL_DEST, GET_DEST = 5, 6, 7, 8
SET_CONFIG, GET_CONFIG = 12, 13
_SERVICE, _DEST = 1, 2  # IPVS_CMD_ATTR_*
_TIMEOUTS: Final = (4, 5, 6)
_AF, _PROTOCOL, _ADDRESS, _PORT, _MARK, _SCHEDULER, _FLAGS, _TIMEOUT, _NETMASK = range(1, 10)
_D_ADDRESS, _D_PORT, _D_METHOD, _D_WEIGHT, _D_UPPER, _D_LOWER, _D_ACTIVE, _D_INACTIVE = range(1, 9)
_D_FAMILY: Final = 11
_STATISTICS: Final = 10
_FAMILIES: Final = {4: AF["IPv4"], 6: AF["IPv6"]}  # by the version of IP
_NUMBERS: Final = {2: 4, 10: 6}
_ALL: Final = 0xFFFFFFFF
# A host's netmask: of IPv4 the mask itself, of IPv6 the length of its prefix.
_HOST: Final = {4: b"\xff\xff\xff\xff", 6: struct.pack("=I", 128)}
_METHODS: Final = 0x7  # IP_VS_CONN_F_FWD_MASK

_generic = struct.Struct("=BBH")
_u16, _u32, _be16 = struct.Struct("=H").pack, struct.Struct("=I").pack, struct.Struct(">H").pack


class Destination(NamedTuple):
    """A destination in the kernel, with its number of connections."""

    key: ServerKey
    value: int
    connections: int

    @property
    def weight(self) -> int:
        return weight_of(self.value)


def header(command: int) -> bytes:
    """Return the generic netlink header at the start of a message's body."""
    return _generic.pack(command, VERSION, 0)


def body(command: int, key: ServerKey, value: Value) -> bytes:
    """Return the body of the message that applies *command* to the object *key*."""
    width = width_of(key)
    if len(key) == width:
        scheduling = value if isinstance(value, Scheduling) else None
        return header(command) + nest(_SERVICE, _identity(key), _entry(key[0], scheduling))
    number = value if isinstance(value, int) else 0
    return header(command) + _nested(key[:width]) + nest(_DEST, _destination(key[width:], number))


def query(command: int, key: ServerKey) -> bytes:
    """Return the body of the message that sends the query *command* about the server *key*."""
    return header(command) + _nested(key)


def _identity(key: ServerKey) -> bytes:
    server = server_of(key)
    family = attribute(_AF, _u16(_FAMILIES[server.family]))
    if server.mark:
        return family + attribute(_MARK, _u32(server.mark))
    return (
        family
        + attribute(_PROTOCOL, _u16(server.protocol))
        + attribute(_ADDRESS, pack(server.address).ljust(16, b"\0"))
        + attribute(_PORT, _be16(server.port))
    )


@lru_cache(maxsize=64)
def _nested(key: ServerKey) -> bytes:
    return nest(_SERVICE, _identity(key))


def _entry(number: int, scheduling: Scheduling | None) -> bytes:
    if scheduling is None:
        return b""
    return (
        attribute(_SCHEDULER, scheduling.scheduler.encode() + b"\0")
        + attribute(_FLAGS, _u32(scheduling.flags) + _u32(_ALL))
        + attribute(_TIMEOUT, _u32(scheduling.timeout))
        + attribute(_NETMASK, _HOST[number])
    )


@lru_cache(maxsize=4096)
def _destination(target: bytes, value: int) -> bytes:
    """Return the attributes of the destination *target*, which is there once for each way to it."""
    family = 10 if len(target) > 6 else 2
    return (
        attribute(_D_ADDRESS, target[:-2].ljust(16, b"\0"))
        + attribute(_D_PORT, target[-2:])
        + attribute(_D_METHOD, _u32(method_of(value)))
        + attribute(_D_WEIGHT, _u32(weight_of(value)))
        + attribute(_D_UPPER, _u32(0))
        + attribute(_D_LOWER, _u32(0))
        + attribute(_D_FAMILY, _u16(family))
    )


def server_in(answer: bytes) -> tuple[ServerKey, Scheduling] | None:
    """Return the virtual server in an answer to GET_SERVICE."""
    found = dict(attributes(dict(attributes(answer, 4)).get(_SERVICE, b"")))
    number = _NUMBERS.get(_number(found.get(_AF, b"")), 0)
    if not number:
        return None
    if _MARK in found:
        key = bytes((number, 0, 0, 0)) + _number(found[_MARK]).to_bytes(4)
    else:
        width = 4 if number == 4 else 16
        protocol = _number(found[_PROTOCOL])
        key = bytes((number, protocol)) + found[_PORT] + found[_ADDRESS][:width]
    flags = _number(found[_FLAGS][:4]) & FLAGS
    timeout = _number(found[_TIMEOUT]) if flags & PERSISTENT else 0
    scheduler = found.get(_SCHEDULER, b"").rstrip(b"\0").decode()
    return key, Scheduling(scheduler, flags, timeout)


def destination_in(answer: bytes, server: ServerKey) -> Destination | None:
    """Return the destination of *server* in an answer to GET_DEST."""
    found = dict(attributes(dict(attributes(answer, 4)).get(_DEST, b"")))
    if _D_ADDRESS not in found:
        return None
    address = found[_D_ADDRESS][: 4 if server[0] == 4 else 16]
    connections = _number(found[_D_ACTIVE]) + _number(found[_D_INACTIVE])
    method = _number(found[_D_METHOD]) & _METHODS
    value = destination_value(_number(found[_D_WEIGHT]), method)
    return Destination(server + address + found[_D_PORT], value, connections)


def statistics_at(answer: bytes) -> int:
    """Return the offset of the statistics, which every packet changes, in a GET_SERVICE answer.

    The bytes before it describe the whole server: ip_vs_genl_fill_service writes statistics last.
    """
    place = 8  # behind the headers of generic netlink and of the server
    for kind, value in attributes(dict(attributes(answer, 4)).get(_SERVICE, b"")):
        if kind == _STATISTICS:
            return place
        place += 4 + len(value) + -len(value) % 4
    return len(answer)


# An answer to GET_DEST as ip_vs_genl_dump_dest begins it: address, port, method, weight.
_dest = struct.Struct("=8xI16sI2s2xIIII")
_DEST_HEADS: Final = [
    int.from_bytes(attribute(kind, bytes(width))[:4], sys.byteorder)
    for kind, width in ((_D_ADDRESS, 16), (_D_PORT, 2), (_D_METHOD, 4), (_D_WEIGHT, 4))
]


def weighted_in(answer: bytes, server: ServerKey) -> tuple[ServerKey, int] | None:
    """Return the key and value of `destination_in`; drift checks spend most of their time here."""
    if len(answer) >= _dest.size:
        first, address, second, port, third, method, fourth, weight = _dest.unpack_from(answer)
        if [first, second, third, fourth] == _DEST_HEADS:
            place = address[: 4 if server[0] == 4 else 16] + port
            return server + place, destination_value(weight, method & _METHODS)
    found = destination_in(answer, server)
    return (found.key, found.value) if found else None


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, sys.byteorder)


class Timeouts(NamedTuple):
    """Idle timeouts of connections, in seconds."""

    tcp: int
    tcp_fin: int
    udp: int


def timeouts_in(answer: bytes) -> Timeouts:
    """Return the timeouts in an answer to GET_CONFIG."""
    found = dict(attributes(answer, 4))
    return Timeouts(*(_number(found[kind]) for kind in _TIMEOUTS))


def set_timeouts(timeouts: Timeouts) -> bytes:
    """Return the body of the message that sets *timeouts*."""
    parts = zip(_TIMEOUTS, timeouts, strict=True)
    return header(SET_CONFIG) + b"".join(attribute(kind, _u32(value)) for kind, value in parts)
