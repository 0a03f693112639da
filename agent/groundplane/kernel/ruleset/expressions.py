"""nf_tables expressions as bytes, by the names of include/uapi/linux/netfilter/nf_tables.h.

A register is given as a word: the index of its first four bytes, 0 to 15. Many rules contain the
same expressions, so these are cached.
"""

import struct
from functools import lru_cache
from typing import Final

from groundplane.kernel.netlink import attribute, nest

EQ, NEQ, LTE, GTE = 0, 1, 3, 5  # NFT_CMP_*
LINK, NETWORK, TRANSPORT = 0, 1, 2  # NFT_PAYLOAD_*_HEADER
UPDATE, DELETE = 1, 2  # NFT_DYNSET_OP_*
_VERDICT_REGISTER: Final = 0
# NF_ACCEPT and NF_DROP from linux/netfilter.h, the others from enum nft_verdicts.
_VERDICTS: Final = {"drop": 0, "accept": 1, "jump": -3, "goto": -4, "return": -5}
_NAME, _DATA = 1, 2  # NFTA_EXPR_*
_VALUE, _VERDICT = 1, 2  # NFTA_DATA_*
_CODE, _CHAIN = 1, 2  # NFTA_VERDICT_*
_SIGNED: Final = struct.Struct(">i")


@lru_cache(1024)
def u32(kind: int, value: int) -> bytes:
    """Return an attribute that holds *value* in network byte order, as nf_tables expects."""
    return attribute(kind, value.to_bytes(4, "big"))


@lru_cache(1024)
def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def register(word: int) -> int:
    """Return the kernel's number of the register at *word*.

    It is that of the 16-byte register that begins there (NFT_REG_*), if any, else that of the
    4-byte register (NFT_REG32_*).
    """
    return 8 + word if word % 4 else 1 + word // 4


@lru_cache(4096)
def value(kind: int, raw: bytes) -> bytes:
    return nest(kind, attribute(_VALUE, raw))


@lru_cache(1024)
def verdict(kind: int, what: str, chain: str = "") -> bytes:
    """Return a verdict as data in an attribute of *kind*; a jump or goto has a *chain*."""
    code = attribute(_CODE, _SIGNED.pack(_VERDICTS[what]))
    return nest(kind, nest(_VERDICT, code, text(_CHAIN, chain) if chain else b""))


def _expression(name: str, *parts: bytes) -> bytes:
    """Return an expression as an entry of a rule's list (NFTA_LIST_ELEM)."""
    return nest(1, text(_NAME, name), nest(_DATA, *parts))


@lru_cache(1024)
def immediate_verdict(what: str, chain: str = "") -> bytes:
    return _expression("immediate", u32(1, _VERDICT_REGISTER), verdict(2, what, chain))


@lru_cache(1024)
def immediate(word: int, raw: bytes) -> bytes:
    return _expression("immediate", u32(1, register(word)), value(2, raw))


@lru_cache(1024)
def compare(word: int, operator: int, raw: bytes) -> bytes:
    return _expression("cmp", u32(1, register(word)), u32(2, operator), value(3, raw))


@lru_cache(1024)
def bitwise(word: int, mask: bytes, xor: bytes) -> bytes:
    """Return the expression that sets a register to its value & *mask* ^ *xor*."""
    where, width = register(word), len(mask)
    return _expression(
        "bitwise",
        u32(1, where),
        u32(2, where),
        u32(3, width),
        u32(6, 0),
        value(4, mask),
        value(5, xor),
    )


@lru_cache(1024)
def meta(word: int, key: int) -> bytes:
    return _expression("meta", u32(2, key), u32(1, register(word)))


@lru_cache(1024)
def set_meta(word: int, key: int) -> bytes:
    return _expression("meta", u32(2, key), u32(3, register(word)))


@lru_cache(1024)
def payload(word: int, base: int, offset: int, width: int) -> bytes:
    return _expression(
        "payload", u32(1, register(word)), u32(2, base), u32(3, offset), u32(4, width)
    )


def conntrack(word: int, key: int, direction: int | None = None) -> bytes:
    way = b"" if direction is None else attribute(3, bytes([direction]))
    return _expression("ct", u32(2, key), u32(1, register(word)), way)


def set_conntrack(word: int, key: int) -> bytes:
    return _expression("ct", u32(2, key), u32(4, register(word)))


def fib(word: int, result: int, flags: int) -> bytes:
    return _expression("fib", u32(3, flags), u32(2, result), u32(1, register(word)))


@lru_cache(1024)
def random_number(word: int, modulus: int) -> bytes:
    return _expression("numgen", u32(1, register(word)), u32(2, modulus), u32(3, 1), u32(4, 0))


@lru_cache(1024)
def jhash(source: int, width: int, word: int, modulus: int, seed: int) -> bytes:
    """Return the expression that hashes *width* bytes, from *source* on, into *word*."""
    return _expression(
        "hash", u32(1, register(source)), u32(2, register(word)), u32(3, width), u32(4, modulus),
        u32(5, seed), u32(6, 0), u32(7, 0),
    )  # fmt: skip


@lru_cache(1024)
def lookup(word: int, name: str, number: int = 0, *, inverted: bool = False) -> bytes:
    """Return the match of a key in a set; *number*: of an anonymous set in this transaction."""
    number_ = u32(4, number) if number else b""
    flags = u32(5, 1) if inverted else b""
    return _expression("lookup", text(1, name), number_, u32(2, register(word)), flags)


@lru_cache(1024)
def mapped(word: int, name: str) -> bytes:
    """Return the expression that replaces a key with its data in a map."""
    where = register(word)
    return _expression("lookup", u32(2, where), u32(3, where), text(1, name))


@lru_cache(1024)
def verdict_mapped(word: int, name: str) -> bytes:
    where = u32(3, _VERDICT_REGISTER)
    return _expression("lookup", u32(2, register(word)), where, text(1, name))


def dynset(key: int, data: int, operation: int, name: str, timeout_ms: int) -> bytes:
    times = attribute(6, timeout_ms.to_bytes(8, "big")) if timeout_ms else b""
    return _expression(
        "dynset", u32(4, register(key)), u32(5, register(data)), u32(3, operation), text(1, name),
        times,
    )  # fmt: skip


@lru_cache(1024)
def dnat(family: int, address: int, port: int | None) -> bytes:
    """Return the translation to the address in word *address* and any port in word *port*."""
    where = u32(3, register(address)) + u32(4, register(address))
    flags = 1  # NF_NAT_RANGE_MAP_IPS
    if port is not None:
        where += u32(5, register(port)) + u32(6, register(port))
        flags |= 2  # NF_NAT_RANGE_PROTO_SPECIFIED
    return _expression("nat", u32(1, 1), u32(2, family), where, u32(7, flags))


def masquerade(first: int | None = None, last: int | None = None) -> bytes:
    """Return the translation to the address of the outgoing interface, with a random port.

    The words *first* and *last* hold the ends of the range of ports; None means any port.
    """
    if first is None or last is None:
        return _expression("masq", u32(1, 0x10))  # NF_NAT_RANGE_PROTO_RANDOM_FULLY
    return _expression("masq", u32(1, 0x12), u32(2, register(first)), u32(3, register(last)))


def reject(kind: int, code: int) -> bytes:
    return _expression("reject", u32(1, kind), attribute(2, bytes([code])))


def notrack() -> bytes:
    return nest(1, text(_NAME, "notrack"))


def route_mss(word: int) -> bytes:
    """Return the expression that loads the route's TCP maximum segment size, in host byte order."""
    return _expression("rt", u32(1, register(word)), u32(2, 3))


def to_network_order(word: int, width: int) -> bytes:
    where = register(word)
    return _expression(
        "byteorder", u32(1, where), u32(2, where), u32(3, 1), u32(4, width), u32(5, width)
    )


def set_tcp_option(word: int, option: int, offset: int, width: int) -> bytes:
    return _expression(
        "exthdr", u32(7, register(word)), attribute(2, bytes([option])), u32(3, offset),
        u32(4, width), u32(6, 1),
    )  # fmt: skip
