"""Addresses and ranges: netaddr at the edges, packed bytes and integers where there are many."""

import re
import socket
from collections.abc import Sequence
from functools import lru_cache

import netaddr

from groundplane.net.protocols import Family

BITS: dict[Family, int] = {"IPv4": 32, "IPv6": 128}
_MAPPED = bytes(10) + b"\xff\xff"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4_LINES = re.compile(rf"(?:{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}\n)*")


def pack(address: str) -> bytes:
    """Return the 4 or 16 bytes of *address* in network order; ValueError if it is not one.

    An IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) is rejected: no packet has one.
    """
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except OSError:
        raise ValueError(f'"{address}" is not an IP address') from None
    if packed[:12] == _MAPPED:
        raise ValueError(f'"{address}" is an IPv4 address; write {unpack(packed[12:])}')
    return packed


def unpack(packed: bytes) -> str:
    """Return the text of *packed*, as RFC 5952 writes it."""
    return socket.inet_ntop(socket.AF_INET6 if len(packed) == 16 else socket.AF_INET, packed)


def address_and_port(packed: bytes) -> tuple[str, int]:
    """Return the address and port of *packed*: both in network order, the port as two bytes."""
    return unpack(packed[:-2]), int.from_bytes(packed[-2:], "big")


def are_canonical_ipv4(texts: Sequence[str]) -> bool:
    """Return whether all *texts* are IPv4 addresses as `canonical` writes them; fast for many."""
    joined = "\n".join((*texts, ""))
    return joined.count("\n") == len(texts) and _IPV4_LINES.fullmatch(joined) is not None


def to_int(address: str) -> int:
    return int.from_bytes(pack(address), "big")


def from_int(value: int, family: Family) -> str:
    return unpack(value.to_bytes(BITS[family] // 8, "big"))


def family_of(address: str) -> Family:
    """Return the family of an address or range; the text is not validated."""
    return "IPv6" if ":" in address else "IPv4"


def dashed(address: str) -> str:
    """Return *address* as a label of a DNS name, with hyphens instead of dots and colons.

    If an IPv6 address would begin or end with a hyphen, a 0 is added there (RFC 952 and 1123).
    """
    label = address.replace(".", "-").replace(":", "-")
    return f"{'0' * label.startswith('-')}{label}{'0' * label.endswith('-')}"


def canonical(address: str) -> str:
    """Return *address* in the one text that every comparison here uses (RFC 5952)."""
    return unpack(pack(address))


@lru_cache(maxsize=4096)
def network(text: str) -> netaddr.IPNetwork:
    """Return the range *text*; ValueError if it is not one, or has bits set after its prefix."""
    try:
        found = netaddr.IPNetwork(text)
        pack(text.partition("/")[0])
    except (netaddr.AddrFormatError, ValueError):
        raise ValueError(f'"{text}" is not an address range like {_EXAMPLE}') from None
    if "/" not in text:
        raise ValueError(f'"{text}" has no prefix length, as in {text}/{found.prefixlen}')
    if found.ip != found.network:
        raise ValueError(f'"{text}" has bits set behind its prefix; did you mean {found.cidr}?')
    if text.partition("/")[2] != str(found.prefixlen):
        raise ValueError(f'"{text}" is written "{found.cidr}"')
    return found


_EXAMPLE = "10.96.0.0/16 or fd00:10:96::/112"


def canonical_range(text: str) -> str:
    """Return the range *text* in the one text that every comparison here uses."""
    return str(network(text))


def is_span(text: str) -> bool:
    """Return whether the range *text* is written as FIRST-LAST, not as FIRST/LENGTH."""
    return "-" in text


@lru_cache(maxsize=4096)
def span(text: str) -> tuple[int, int]:
    """Return the ends of the range *text*, FIRST-LAST, as integers; ValueError if it is not one."""
    first, _, last = (part.strip() for part in text.partition("-"))
    ends = to_int(first), to_int(last)
    if family_of(first) != family_of(last):
        raise ValueError(f'"{text}" has ends of both families')
    if ends[0] > ends[1]:
        raise ValueError(f'"{text}" ends before it begins')
    return ends


def prefixes(text: str) -> tuple[str, ...]:
    """Return the prefixes FIRST/LENGTH that make up the range *text*, in canonical text."""
    if not is_span(text):
        return (canonical_range(text),)
    first, last = (part.strip() for part in text.split("-"))
    return tuple(str(each) for each in netaddr.iprange_to_cidrs(first, last))


def first_last(text: str) -> tuple[int, int]:
    """Return the first and last address of the range *text*, in either form, as integers."""
    if is_span(text):
        return span(text)
    found = network(text)
    return found.first, found.last


def contains(text: str, address: str) -> bool:
    """Whether *address* lies in the range *text*."""
    if family_of(text) != family_of(address):
        return False
    first, last = first_last(text)
    return first <= to_int(address) <= last


def overlap(one: str, other: str) -> bool:
    """Whether two ranges share an address."""
    if family_of(one) != family_of(other):
        return False
    (first, last), (start, end) = first_last(one), first_last(other)
    return first <= end and start <= last


def bridge_address(subnet: str) -> str:
    """Return the address that a node's bridge has in its *subnet*: the first one."""
    return from_int(first_last(subnet)[0] + 1, family_of(subnet))
