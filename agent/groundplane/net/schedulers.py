"""IPVS's schedulers and their flags, as a catalog names them."""

from typing import Final

from groundplane.hint import did_you_mean
from groundplane.net.proxy import scheduler_of

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
