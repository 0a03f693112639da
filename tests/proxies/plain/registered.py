"""The mode plain, listed where every mode is."""

from collections.abc import Iterator
from contextlib import contextmanager

from groundplane.net.proxy import MODES


@contextmanager
def registered() -> Iterator[None]:
    MODES["plain"] = "tests.proxies.plain.mode"
    try:
        yield
    finally:
        del MODES["plain"]
