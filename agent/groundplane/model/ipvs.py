"""The proxy mode of a node, and IPVS's schedulers and ways as the catalog writes them."""

from typing import Final, Literal, get_args

from groundplane.model.hint import did_you_mean

ProxyMode = Literal["nftables", "ipvs"]
# How a packet comes to its endpoint: ipvsadm(8), --masquerading, --gatewaying, --ipip.
Forwarding = Literal["masquerading", "direct", "tunnel"]
FORWARDINGS: Final[tuple[Forwarding, ...]] = get_args(Forwarding)

# Schedulers and their flags: ipvsadm(8), --scheduler and --sched-flags.
_FLAGS: Final[dict[str, tuple[str, ...]]] = {
    "rr": (),
    "wrr": (),
    "lc": (),
    "wlc": (),
    "lblc": (),
    "lblcr": (),
    "dh": (),
    "sh": ("sh-fallback", "sh-port"),
    "sed": (),
    "nq": (),
    "mh": ("mh-fallback", "mh-port"),
}


def scheduler_of(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the scheduler and the flags that *text* names: `SCHEDULER[,FLAG...]`."""
    name, *flags = text.split(",")
    return name, tuple(flags)


def scheduler_fault(text: str) -> str | None:
    """Return what is wrong with the scheduler *text*, None for nothing."""
    name, flags = scheduler_of(text)
    if name not in _FLAGS:
        known = did_you_mean(name, _FLAGS) or f"; there are: {', '.join(_FLAGS)}"
        return f'IPVS has no scheduler "{name}"{known}'
    for flag in flags:
        if flag not in _FLAGS[name]:
            known = f"; it has {' and '.join(_FLAGS[name])}" if _FLAGS[name] else ", nor any other"
            return f'the scheduler {name} has no flag "{flag}"{known}'
    if len(set(flags)) < len(flags):
        return f'"{text}" names a flag twice'
    return None
