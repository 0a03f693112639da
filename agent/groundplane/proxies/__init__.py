"""Proxy modes: each is a package here that declares one value, PROXY; net/proxy.py lists them."""

from functools import cache
from importlib import import_module
from typing import cast

from groundplane.net.proxy import MODES
from groundplane.proxies.proxy import Features, Leftover, Openings, Proxy

__all__ = ["Features", "Leftover", "Openings", "Proxy", "proxies", "proxy_of"]


@cache
def proxy_of(mode: str) -> Proxy:
    """Return the proxy mode with the name *mode*, one of MODES."""
    return cast("Proxy", import_module(MODES[mode]).PROXY)


def proxies() -> list[Proxy]:
    """Return every proxy mode."""
    return [proxy_of(mode) for mode in MODES]
