"""How a node leads services' packets to endpoints: its proxy mode, and how IPVS forwards."""

from typing import Final, Literal, get_args

MODES: Final[dict[str, str]] = {
    "nftables": "groundplane.proxies.nftables",
    "ipvs": "groundplane.proxies.ipvs",
}
"""Every proxy mode and the module that declares it as PROXY: the one place that lists them."""
DEFAULT_MODE: Final = "nftables"

# How a packet comes to its endpoint: ipvsadm(8), --masquerading, --gatewaying, --ipip.
Forwarding = Literal["masquerading", "direct", "tunnel"]
FORWARDINGS: Final[tuple[Forwarding, ...]] = get_args(Forwarding)


def mode_fault(name: str) -> str | None:
    """Return what keeps *name* from being a proxy mode, or None."""
    return None if name in MODES else f'"{name}" is not a proxy mode: {" or ".join(MODES)}'


def scheduler_of(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the scheduler and the flags that *text* names: `SCHEDULER[,FLAG...]`."""
    name, *flags = text.split(",")
    return name, tuple(flags)
