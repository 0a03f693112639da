"""The mark, the label and the table by which rules lead a connection to IPVS. Pure.

A mark that leads there, the whole of it, is these ten bits, the protocol of a pool and its number:

    31        22  21  20  19              0
    0100011101  | proto | pool (20 bits)

Without protocol and pool, IPVS goes by the address that the packet has.
"""

from typing import Final

from groundplane.model.service import Protocol

MARK: Final = 0x47400000
MASK: Final = 0xFFC00000
TABLE: Final = "groundplane-ipvs"  # of nftables; there where marked packets are led to IPVS
LABEL: Final = 15  # the bit of the conntrack label of what IPVS was given
# By which masqueraded connections leave where IPVS balances: no node's own sockets have them.
MASQUERADE_PORTS: Final = (1024, 29999)
PROTOCOL_MASK: Final = 3 << 20
PROTOCOLS: Final[dict[Protocol, int]] = {"TCP": 1 << 20, "UDP": 2 << 20, "SCTP": 3 << 20}


def mark_of(protocol: Protocol, pool: int) -> int:
    """Return the mark that leads to the virtual server of *pool*."""
    return MARK | PROTOCOLS[protocol] | pool
