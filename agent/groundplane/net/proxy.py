"""How a node balances: its proxy mode, and how IPVS schedules and forwards."""

from typing import Final, Literal, get_args

ProxyMode = Literal["nftables", "ipvs"]
# How a packet comes to its endpoint: ipvsadm(8), --masquerading, --gatewaying, --ipip.
Forwarding = Literal["masquerading", "direct", "tunnel"]
FORWARDINGS: Final[tuple[Forwarding, ...]] = get_args(Forwarding)


def scheduler_of(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the scheduler and the flags that *text* names: `SCHEDULER[,FLAG...]`."""
    name, *flags = text.split(",")
    return name, tuple(flags)
