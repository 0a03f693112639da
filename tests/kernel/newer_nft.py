"""A set as a newer nft(8) makes it, of which older ones die (kubernetes#136786).

nft 1.1.2 and later write the type of a set's key as an expression. nft 1.0.6 cannot read one that is
a value, and calls a function that is not there.
"""

import struct
from contextlib import closing

from groundplane.kernel.netlink import CREATE, Socket, attribute, netfilter
from groundplane.kernel.tables import FAMILIES, SUBSYSTEM, BatchMessage, transaction

_NEW_TABLE, _NEW_SET = SUBSYSTEM << 8 | 0, SUBSYSTEM << 8 | 9
_TABLE, _NAME, _FLAGS, _KEY_TYPE, _KEY_LENGTH, _ID, _USERDATA = 1, 2, 3, 4, 5, 10, 13
_BYTE_ORDER, _TYPE_OF = 0, 3  # NFTNL_UDATA_SET_*
_KIND, _DATA, _VALUE = 0, 1, 4  # NFTNL_UDATA_SET_TYPEOF_*; EXPR_VALUE of nft
_IPV4_ADDR = 7  # nft's number of the type


def _number(value: int) -> bytes:
    return struct.pack(">I", value)


def _text(value: str) -> bytes:
    return value.encode() + b"\0"


def _userdata(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value))) + value


def add_unreadable_set(family: str, table: str, name: str) -> None:
    """Add a set to *table*, which is made where there is none, in this network namespace."""
    expression = _userdata(_KIND, struct.pack("=I", _VALUE)) + _userdata(_DATA, b"\0\2x\0")
    body = b"".join(
        [
            netfilter(FAMILIES[family]),
            attribute(_TABLE, _text(table)),
            attribute(_NAME, _text(name)),
            attribute(_FLAGS, _number(0)),
            attribute(_KEY_TYPE, _number(_IPV4_ADDR)),
            attribute(_KEY_LENGTH, _number(4)),
            attribute(_ID, _number(1)),
            attribute(
                _USERDATA,
                _userdata(_BYTE_ORDER, struct.pack("=I", 2)) + _userdata(_TYPE_OF, expression),
            ),
        ]
    )
    head = netfilter(FAMILIES[family]) + attribute(_TABLE, _text(table))
    with closing(Socket()) as netlink:
        refused = netlink.commit(
            transaction(
                [
                    BatchMessage(_NEW_TABLE, CREATE, head, ""),
                    BatchMessage(_NEW_SET, CREATE, body, ""),
                ]
            )
        )
    assert refused is None, refused
