"""Headers of HTTP that a probe may send (RFC 9110, 5)."""

import re
from typing import Final

_HEADER_NAME: Final = re.compile(r"[-A-Za-z0-9]+")


def header_name_fault(name: str) -> str | None:
    """Return what keeps *name* from being the name of a header of HTTP, or None."""
    if _HEADER_NAME.fullmatch(name):
        return None
    return f'"{name}" is not a header name: letters, digits and hyphens'


def header_value_fault(value: str) -> str | None:
    """Return what keeps *value* from being that of a header of HTTP, or None."""
    good = value.isascii() and value.isprintable()
    return None if good else "a header has printable ASCII only"
