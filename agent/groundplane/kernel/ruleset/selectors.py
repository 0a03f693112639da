"""Selectors: what a rule can read from a packet, how it is loaded, and its type.

The numbers of types are nft's own (enum datatypes), and so is the encoding of the expressions that
declare a set: nft(8) needs both to list the set as it was written.
"""

import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Final, Literal

from groundplane.kernel.ruleset import expressions
from groundplane.kernel.ruleset.expressions import LINK, NETWORK, TRANSPORT

Order = Literal["host", "network"]
Load = Callable[[int, int], list[bytes]]  # expressions that load it, for a word and a free word

_PROTOCOLS: Final = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "sctp": 132}
_ETHER_TYPES: Final = {"ip": 0x0800, "arp": 0x0806, "ip6": 0x86DD}
_ICMP: Final = {"destination-unreachable": 3, "time-exceeded": 11, "parameter-problem": 12}
_ICMPV6: Final = {
    "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
    "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136, "nd-redirect": 137,
}  # fmt: skip
_TCP_FLAGS: Final = {"syn": 2, "rst": 4}
_STATES: Final = {"established": 2, "related": 4, "untracked": 64}  # NF_CT_STATE_BIT
_STATUSES: Final = {"dnat": 32}  # IPS_DST_NAT
_DIRECTIONS: Final = {"original": 0, "reply": 1}
_ADDRESS_TYPES: Final = {"unicast": 1, "local": 2}  # RTN_*
_PRESENCE: Final = {"missing": 0, "exists": 1}


@dataclass(frozen=True)
class Type:
    """A data type of nft: its number, width in bytes, byte order and named values.

    *bits*: a value is a set of bits, such as a connection's states, and matches if any is set.
    """

    number: int
    width: int
    order: Order
    names: Mapping[str, int]
    bits: bool = False

    @property
    def words(self) -> int:
        """The number of four-byte registers that a value takes."""
        return -(-self.width // 4)

    def parse(self, text: str) -> bytes:
        """Return the value of *text* as bytes. ValueError if it is not one."""
        number = self.names.get(text)
        return self.raw(int(text, 0) if number is None else number)

    def raw(self, number: int) -> bytes:
        return number.to_bytes(self.width, sys.byteorder if self.order == "host" else "big")


class _Address(Type):
    def parse(self, text: str) -> bytes:
        return ip_address(text).packed


class _Ether(Type):
    def parse(self, text: str) -> bytes:
        return bytes.fromhex(text.replace(":", ""))


class _Name(Type):
    def parse(self, text: str) -> bytes:
        """Return the bytes of a name. One that ends in `*` is a prefix, shorter than the type."""
        name = text.strip('"')
        if name.endswith("*"):
            return name[:-1].encode()
        return name.encode().ljust(self.width, b"\0")


class _Label(Type):
    def parse(self, text: str) -> bytes:
        return (1 << int(text)).to_bytes(self.width, "little")


_INTEGER: Final = Type(4, 4, "host", {})
RAW: Final = Type(4, 16, "network", {})
IPV4: Final = _Address(7, 4, "network", {})
IPV6: Final = _Address(8, 16, "network", {})
ETHER: Final = _Ether(9, 6, "network", {})
ETHER_TYPE: Final = Type(10, 2, "network", _ETHER_TYPES)
PROTOCOL: Final = Type(12, 1, "host", _PROTOCOLS)
PORT: Final = Type(13, 2, "network", {})
ICMP: Final = Type(14, 1, "network", _ICMP)
TCP_FLAG: Final = Type(15, 1, "network", _TCP_FLAGS)
STATE: Final = Type(16, 4, "host", _STATES, bits=True)
DIRECTION: Final = Type(17, 1, "host", _DIRECTIONS)
STATUS: Final = Type(18, 4, "host", _STATUSES, bits=True)
MARK: Final = Type(19, 4, "host", {})
ADDRESS_TYPE: Final = Type(21, 4, "host", _ADDRESS_TYPES)
PRIORITY: Final = Type(23, 4, "host", {})
ICMPV6: Final = Type(29, 1, "network", _ICMPV6)
LABEL: Final = _Label(35, 16, "host", {}, bits=True)
FOUND: Final = Type(37, 4, "host", _PRESENCE)  # nft's boolean, in place of a device's index
NAME: Final = _Name(41, 16, "host", {})
VERDICT: Final = 0xFFFFFF00  # the number of NFT_DATA_VERDICT, which is not one of nft's types


@dataclass(frozen=True)
class Selector:
    """What a rule reads; *declared* is its encoding in a set that is declared with it."""

    type: Type
    load: Load
    declared: bytes = b""


# ---- the encoding in a set: libnftnl's udata, and nft's enum expr_types ----

_META, _PAYLOAD, _CONCATENATION, _NUMGEN = 9, 7, 13, 23


def udata(kind: int, payload: bytes) -> bytes:
    return bytes((kind, len(payload))) + payload


def udata_number(kind: int, number: int) -> bytes:
    return udata(kind, struct.pack("=I", number))


def _declared(kind: int, *parts: bytes) -> bytes:
    return udata_number(0, kind) + udata(1, b"".join(parts))


def concatenation(parts: tuple[bytes, ...]) -> bytes:
    return _declared(_CONCATENATION, *(udata(index, each) for index, each in enumerate(parts)))


DECLARED_VERDICT: Final = _declared(1)


# ---- the selectors ----


def _payload(type_: Type, base: int, offset: int, protocol: int = 0, field: int = 0) -> Selector:
    """Return the field of a header; *protocol* and *field* are its numbers in nft's proto.h."""

    def load(word: int, _free: int) -> list[bytes]:
        return [expressions.payload(word, base, offset, type_.width)]

    declared = udata_number(0, protocol) + udata_number(1, field)
    if not protocol:  # not a protocol that nft knows
        place = ((2, base + 1), (3, 8 * offset), (4, 8 * type_.width))
        declared += b"".join(udata_number(kind, number) for kind, number in place)
    return Selector(type_, load, _declared(_PAYLOAD, declared))


def _meta(type_: Type, key: int) -> Selector:
    def load(word: int, _free: int) -> list[bytes]:
        return [expressions.meta(word, key)]

    return Selector(type_, load, _declared(_META, udata_number(0, key)))


def _conntrack(type_: Type, key: int, direction: int | None = None) -> Selector:
    return Selector(type_, lambda word, _free: [expressions.conntrack(word, key, direction)])


def _fib(type_: Type, result: int, flags: int) -> Selector:
    return Selector(type_, lambda word, _free: [expressions.fib(word, result, flags)])


META_KEYS: Final = {
    "protocol": 1,
    "priority": 2,
    "mark": 3,
    "iifname": 6,
    "oifname": 7,
    "l4proto": 16,
}
CT_LABELS: Final = 13
_OIF, _ADDRTYPE = 1, 3  # NFT_FIB_RESULT_*
_SADDR, _DADDR, _MARK, _IIF, _PRESENT = 1, 2, 4, 8, 32  # NFTA_FIB_F_*

SELECTORS: Final[dict[tuple[str, ...], Selector]] = {
    ("ip", "saddr"): _payload(IPV4, NETWORK, 12, 12, 11),
    ("ip", "daddr"): _payload(IPV4, NETWORK, 16, 12, 12),
    ("ip6", "saddr"): _payload(IPV6, NETWORK, 8, 13, 8),
    ("ip6", "daddr"): _payload(IPV6, NETWORK, 24, 13, 9),
    ("th", "sport"): _payload(PORT, TRANSPORT, 0, 11, 1),
    ("th", "dport"): _payload(PORT, TRANSPORT, 2, 11, 2),
    ("tcp", "flags"): _payload(TCP_FLAG, TRANSPORT, 13, 9, 8),
    ("icmp", "type"): _payload(ICMP, TRANSPORT, 0, 4, 1),
    ("icmpv6", "type"): _payload(ICMPV6, TRANSPORT, 0, 14, 1),
    ("ether", "daddr"): _payload(ETHER, LINK, 0, 17, 1),
    ("ether", "saddr"): _payload(ETHER, LINK, 6, 17, 2),
    ("ether", "type"): _payload(ETHER_TYPE, LINK, 12, 17, 3),
    ("arp", "saddr", "ether"): _payload(ETHER, NETWORK, 8, 15, 6),
    ("arp", "saddr", "ip"): _payload(IPV4, NETWORK, 14, 15, 7),
    ("@th,64,128",): _payload(RAW, TRANSPORT, 8),
    ("meta", "priority"): _meta(PRIORITY, META_KEYS["priority"]),
    ("meta", "mark"): _meta(MARK, META_KEYS["mark"]),
    ("meta", "l4proto"): _meta(PROTOCOL, META_KEYS["l4proto"]),
    ("iifname",): _meta(NAME, META_KEYS["iifname"]),
    ("oifname",): _meta(NAME, META_KEYS["oifname"]),
    ("ct", "state"): _conntrack(STATE, 0),
    ("ct", "direction"): _conntrack(DIRECTION, 1),
    ("ct", "status"): _conntrack(STATUS, 2),
    ("ct", "label"): _conntrack(LABEL, CT_LABELS),
    ("ct", "reply", "ip", "saddr"): _conntrack(IPV4, 19, 1),
    ("ct", "reply", "ip6", "saddr"): _conntrack(IPV6, 21, 1),
    ("fib", "saddr", "type"): _fib(ADDRESS_TYPE, _ADDRTYPE, _SADDR),
    ("fib", "saddr", ".", "iif", "oif"): _fib(FOUND, _OIF, _SADDR | _IIF | _PRESENT),
    ("fib", "daddr", ".", "mark", ".", "iif", "oif"): _fib(
        FOUND, _OIF, _DADDR | _MARK | _IIF | _PRESENT
    ),
}


def random_number(modulus: int) -> Selector:
    """Return a random number below *modulus*."""
    declared = _declared(_NUMGEN, udata_number(0, 1), udata_number(1, modulus), udata_number(2, 0))
    load = partial(_load_random, modulus)
    return Selector(_INTEGER, load, declared)


def _load_random(modulus: int, word: int, _free: int) -> list[bytes]:
    return [expressions.random_number(word, modulus)]


def hashed(source: Selector, modulus: int, seed: int) -> Selector:
    """Return a hash of *source* below *modulus*; it loads the source into the free word."""

    def load(word: int, free: int) -> list[bytes]:
        made = expressions.jhash(free, source.type.width, word, modulus, seed)
        return [*source.load(free, free), made]

    return Selector(_INTEGER, load)


def masked(source: Selector, mask: bytes, xor: bytes) -> Selector:
    """Return *source* & *mask* ^ *xor*."""

    def load(word: int, free: int) -> list[bytes]:
        return [*source.load(word, free), expressions.bitwise(word, mask, xor)]

    return Selector(source.type, load, source.declared)
