"""Whether a table of nftables is there, asked over netlink: no process is started for it."""

from typing import Final

from groundplane.netlink import Socket, attribute, netfilter

GET_TABLE: Final = 10 << 8 | 1  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE
_NAME: Final = 1  # NFTA_TABLE_NAME


def has_table(netlink: Socket, family: int, name: str) -> bool:
    """Return whether *family*, a number of the kernel's, has a table *name*, whoever made it."""
    body = netfilter(family) + attribute(_NAME, name.encode() + b"\0")
    try:
        return bool(list(netlink.ask(GET_TABLE, 0, body)))
    except FileNotFoundError:
        return False
