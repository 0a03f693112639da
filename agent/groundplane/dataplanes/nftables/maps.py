"""Named maps and sets of our tables, and their elements' wire format and text.

An element is bytes from `render` on: one byte for its map, then exactly the bytes that the kernel
keeps in its registers, each field padded to a multiple of four (nf_tables' 32-bit registers). So
written, dumped and compared elements have one form; text is made only for people.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from groundplane.kernel.tables import Table
from groundplane.net.address import unpack
from groundplane.net.protocols import NUMBERS

_PROTOCOL_NAMES: Final = {number: name.lower() for name, number in NUMBERS.items()}

_host32 = struct.Struct("=I")
host32 = _host32.pack

Element = bytes  # a map's code and a key; its value is data, b"" in a set
Elements = dict[Element, bytes]


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
# As nft writes an unnamed part of a packet.
RAW_IPV6 = Field(16, lambda raw: f"0x{raw.hex()}")
IFNAME = Field(16, lambda raw: f'"{raw.rstrip(bytes(1)).decode()}"')


BY_CODE: Final[dict[int, "Map"]] = {}  # every declared map


@dataclass(frozen=True)
class Map:
    """A named map, or a set when it has no data. *code* is the first byte of its elements.

    No two maps have one code: ValueError.
    """

    code: int
    table: Table
    name: str
    key: tuple[Field, ...]
    data: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        if BY_CODE.setdefault(self.code, self) is not self:
            raise ValueError(f"{self} and {BY_CODE[self.code]} have the code {self.code}")

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
        return f"{self.table.family} {self.name}"


def _text(fields: tuple[Field, ...], raw: bytes) -> str:
    parts, start = [], 0
    for field in fields:
        parts.append(field.text(raw[start : start + field.width]))
        start += field.width
    return " . ".join(parts)


def map_of(element: Element) -> Map:
    """Return the map of *element*."""
    return BY_CODE[element[0]]
