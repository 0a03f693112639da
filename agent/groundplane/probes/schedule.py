"""When checks are due: spread over the period, and each workload at other times on each node. Pure."""

import math
from zlib import crc32

from groundplane.site.compiled import Probe


def phase(node: str, key: tuple[str, str]) -> float:
    """Return where in a period *node* checks the workload *key*: 0 up to 1, always the same."""
    return crc32(f"{node}/{key[0]}/{key[1]}".encode()) / (1 << 32)


def first(probe: Probe, phase: float, started: float) -> float:
    """Return when the first check is due: at once, but spread over a second or a period."""
    return started + probe.initial_delay + phase * min(probe.period, 1)


def following(probe: Probe, phase: float, started: float, began: float) -> float:
    """Return when the next check is due after one that *began*.

    These times are a period apart. The first two checks may be closer: the first one is early.
    """
    base = started + probe.initial_delay + phase * probe.period
    passed = math.floor((began - base) / probe.period + 1e-6) + 1
    return base + max(passed, 0) * probe.period
