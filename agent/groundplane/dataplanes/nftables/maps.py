"""The named maps and sets of our tables, and how their elements look on the wire and as text.

An element is bytes from `render` on: exactly the bytes that the kernel keeps in its registers,
each field padded to four (nf_tables' 32-bit registers). So what is written, what is dumped and
what is compared is the same thing, and text is made only where a person reads it.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from groundplane.model.address import unpack
from groundplane.model.service import Family

TABLE: Final = "groundplane"
PROTOCOLS: Final = {"TCP": 6, "UDP": 17, "SCTP": 132}
_PROTOCOL_NAMES: Final = {number: name.lower() for name, number in PROTOCOLS.items()}

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
IFNAME = Field(16, lambda raw: f'"{raw.rstrip(bytes(1)).decode()}"')


@dataclass(frozen=True, eq=False)
class Map:
    """A named map, or a set when it has no data; compared by identity, since each exists once."""

    family: str  # of its table: ip, ip6 or bridge
    name: str
    key: tuple[Field, ...]
    data: tuple[Field, ...] = ()

    @property
    def key_width(self) -> int:
        return sum(field.width for field in self.key)

    @property
    def data_width(self) -> int:
        return sum(field.width for field in self.data)

    def element_text(self, key: bytes, data: bytes) -> str:
        """Return the element as nft writes it."""
        text = _text(self.key, key)
        return f"{text} : {_text(self.data, data)}" if self.data else text

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
    slots: Map  # pool . slot : endpoint's address . port
    cluster_addresses: Map  # every address that has a service
    nodes: Map  # addresses of all nodes
    hairpin: Map  # own address . own address of this node's workloads
    guard: Map  # bridge port . its workload's address

    @property
    def all(self) -> tuple[Map, ...]:
        return (
            self.cluster_ips,
            self.slots,
            self.cluster_addresses,
            self.nodes,
            self.hairpin,
            self.guard,
        )


def _maps(table: str, address: Field) -> FamilyMaps:
    return FamilyMaps(
        cluster_ips=Map(table, "cluster_ips", (address, PROTOCOL, PORT), (HANDLE,)),
        slots=Map(table, "slots", (HANDLE, HANDLE), (address, PORT)),
        cluster_addresses=Map(table, "cluster_addresses", (address,)),
        nodes=Map(table, "nodes", (address,)),
        hairpin=Map(table, "hairpin", (address, address)),
        guard=Map("bridge", f"workloads_{table}", (IFNAME, address)),
    )


MAPS: Final[dict[Family, FamilyMaps]] = {"IPv4": _maps("ip", IPV4), "IPv6": _maps("ip6", IPV6)}

Element = tuple[Map, bytes]  # the key of an element; its value is data, b"" in a set
