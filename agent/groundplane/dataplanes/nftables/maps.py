"""The named maps and sets of our tables, and how their elements look on the wire and as text.

An element is bytes from `render` on: exactly the bytes that the kernel keeps in its registers,
each field padded to four (nf_tables' 32-bit registers), behind one byte that says which map it
is of. So what is written, what is dumped and what is compared is the same thing, and text is made
only where a person reads it.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Final

from groundplane.net.address import unpack
from groundplane.net.protocols import NUMBERS, Family
from groundplane.net.proxy import ProxyMode

_PROTOCOL_NAMES: Final = {number: name.lower() for name, number in NUMBERS.items()}

_host32 = struct.Struct("=I")
host32 = _host32.pack


@dataclass(frozen=True)
class Field:
    """One field of a key or of data: its width on the wire, and its text in nft's syntax."""

    width: int
    text: Callable[[bytes], str]


IPV4 = Field(4, unpack)
IPV6 = Field(16, unpack)
PROTOCOL = Field(4, lambda raw: _PROTOCOL_NAMES.get(raw[0], str(raw[0])))
PORT = Field(4, lambda raw: str(int.from_bytes(raw[:2], "big")))
HANDLE = Field(4, lambda raw: f"{_host32.unpack(raw)[0]:#x}")
ETHER = Field(8, lambda raw: raw[:6].hex(":"))
# As nft writes a part of a packet for which it has no name.
RAW_IPV6 = Field(16, lambda raw: f"0x{raw.hex()}")
IFNAME = Field(16, lambda raw: f'"{raw.rstrip(bytes(1)).decode()}"')


@dataclass(frozen=True)
class Map:
    """A named map, or a set when it has no data. *code* is the first byte of its elements."""

    code: int
    family: str  # of its table: ip, ip6 or bridge
    name: str
    key: tuple[Field, ...]
    data: tuple[Field, ...] = ()

    @cached_property
    def prefix(self) -> bytes:
        return bytes((self.code,))

    @property
    def key_width(self) -> int:
        return sum(field.width for field in self.key)

    @property
    def data_width(self) -> int:
        return sum(field.width for field in self.data)

    def element_text(self, element: bytes, data: bytes) -> str:
        """Return the element as nft writes it."""
        key = self.key_text(element)
        return f"{key} : {_text(self.data, data)}" if self.data else key

    def key_text(self, element: bytes) -> str:
        return _text(self.key, element[1:])

    def __repr__(self) -> str:
        return f"{self.family} {self.name}"


def _text(fields: tuple[Field, ...], raw: bytes) -> str:
    parts, start = [], 0
    for field in fields:
        parts.append(field.text(raw[start : start + field.width]))
        start += field.width
    return " . ".join(parts)


@dataclass(frozen=True)
class FamilyMaps:
    """The maps of one IP family's table."""

    cluster_ips: Map  # address . protocol . port : handle
    external_ips: Map  # the same for addresses that are reached from outside, node ports too
    slots: Map  # pool . slot : endpoint's address . port
    handles: Map  # pool : handle, of those that a connection comes back to
    choices: Map  # pool . slot : number of an endpoint, for services with session affinity
    endpoints: Map  # number of an endpoint : its address . port
    source_ranges: Map  # pool | length of prefix . first address
    service_addresses: Map  # every address that has a service
    nodes: Map  # addresses of all nodes
    hairpin: Map  # own address . own address of this node's workloads
    guard: Map  # bridge port . its workload's hardware address . source of what it may send
    announced: Map  # the same, with what it may tell of by ARP or neighbour discovery
    marks: Map  # pool : mark that leads to it, where IPVS balances
    untranslated: Map  # address . protocol . port of what IPVS sends on as it is
    untranslated_addresses: Map  # their addresses, for what ICMP says of such packets
    subnets: Map  # first addresses of the subnets of all nodes
    tunnel_nodes: Map  # addresses of the nodes that the overlay leads to

    @property
    def all(self) -> tuple[Map, ...]:
        return tuple(getattr(self, each.name) for each in fields(self))

    def of(self, mode: ProxyMode) -> tuple[Map, ...]:
        """Return the maps that there are on a node with this proxy mode."""
        drawn = (self.slots, self.choices, self.endpoints)
        balanced = (self.marks, self.untranslated, self.untranslated_addresses)
        others = drawn if mode == "ipvs" else balanced
        return tuple(each for each in self.all if each not in others)


def _maps(code: int, table: str, address: Field, announced: Field) -> FamilyMaps:
    return FamilyMaps(
        cluster_ips=Map(code, table, "cluster_ips", (address, PROTOCOL, PORT), (HANDLE,)),
        external_ips=Map(code + 1, table, "external_ips", (address, PROTOCOL, PORT), (HANDLE,)),
        slots=Map(code + 2, table, "slots", (HANDLE, HANDLE), (address, PORT)),
        handles=Map(code + 3, table, "handles", (HANDLE,), (HANDLE,)),
        choices=Map(code + 4, table, "choices", (HANDLE, HANDLE), (HANDLE,)),
        endpoints=Map(code + 5, table, "endpoints", (HANDLE,), (address, PORT)),
        source_ranges=Map(code + 6, table, "source_ranges", (HANDLE, address)),
        service_addresses=Map(code + 7, table, "service_addresses", (address,)),
        nodes=Map(code + 8, table, "nodes", (address,)),
        hairpin=Map(code + 9, table, "hairpin", (address, address)),
        guard=Map(code + 10, "bridge", f"workloads_{table}", (IFNAME, ETHER, address)),
        announced=Map(code + 11, "bridge", f"announced_{table}", (IFNAME, ETHER, announced)),
        marks=Map(code + 12, table, "marks", (HANDLE,), (HANDLE,)),
        untranslated=Map(code + 13, table, "untranslated", (address, PROTOCOL, PORT)),
        untranslated_addresses=Map(code + 14, table, "untranslated_addresses", (address,)),
        subnets=Map(code + 15, table, "subnets", (address,)),
        tunnel_nodes=Map(code + 16, table, "tunnel_nodes", (address,)),
    )


MAPS: Final[dict[Family, FamilyMaps]] = {
    "IPv4": _maps(0, "ip", IPV4, IPV4),
    "IPv6": _maps(17, "ip6", IPV6, RAW_IPV6),
}
# What packets wrote, not we: which client stays with which endpoint. A client's IPv6 address is
# there as two hashes of it, see text.py.
AFFINITY: Final[dict[Family, Map]] = {
    "IPv4": Map(34, "ip", "affinity", (HANDLE, IPV4), (HANDLE,)),
    "IPv6": Map(35, "ip6", "affinity", (HANDLE, HANDLE, HANDLE), (HANDLE,)),
}
BY_CODE: Final = (*(each for maps in MAPS.values() for each in maps.all), *AFFINITY.values())

Element = bytes  # a map's code and a key; its value is data, b"" in a set


def map_of(element: Element) -> Map:
    """Return the map that *element* is of."""
    return BY_CODE[element[0]]
