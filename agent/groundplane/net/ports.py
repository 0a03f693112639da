"""Ports: what a text like 30000-32767 says."""

import re
from typing import Final

_RANGE: Final = re.compile(r"(\d{1,5})-(\d{1,5})", re.ASCII)


def port_range(text: str) -> tuple[int, int]:
    """Return the first and the last port of *text*; ValueError when it is not a range of ports."""
    found = _RANGE.fullmatch(text)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise ValueError(f'"{text}" is not a range of ports like 30000-32767')
    return first, last
