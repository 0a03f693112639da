"""Checks whether this node reaches any gateway or peer. Needs no privilege."""

import asyncio
import socket
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

PATIENCE_S: Final = 0.5
_DISCARD: Final = 9  # a port that seldom anyone has; a refusal is an answer too
_NUD_REACHABLE: Final = 0x02
_FRESH_TICKS: Final = 200  # of 1/100 s: a neighbour that was confirmed longer ago says nothing


async def reachable(addresses: Collection[str]) -> bool:
    """Return whether any of *addresses* answers within 0.5 s, be it by a refusal.

    Each is sent a datagram and asked for a connection. Where a filter drops both, a neighbour
    that the kernel has heard of within the last two seconds counts too.
    """
    asked = [
        asyncio.ensure_future(_answers(address, kind))
        for address in addresses
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)
    ]
    try:
        for each in asyncio.as_completed(asked, timeout=PATIENCE_S):
            with suppress(OSError):
                if await each:
                    return True
    except TimeoutError:
        pass
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    return bool(await asyncio.to_thread(confirmed_neighbours, addresses))


async def _answers(address: str, kind: int) -> bool:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind | socket.SOCK_NONBLOCK) as opened:
        try:
            await loop.sock_connect(opened, (address, _DISCARD))
            if kind == socket.SOCK_DGRAM:
                await loop.sock_sendall(opened, b"\0")
                await loop.sock_recv(opened, 1)
        except ConnectionRefusedError:
            return True
        return True


def confirmed_neighbours(addresses: Iterable[str]) -> set[str]:
    """Return those of *addresses* that the neighbour table has as reachable since just now."""
    found: set[str] = set()
    with suppress(OSError, NetlinkError), IPRoute() as netlink:
        for message in netlink.get_neighbours():
            attributes = dict(message["attrs"])
            cache = attributes.get("NDA_CACHEINFO") or {}
            fresh = cache.get("ndm_confirmed", _FRESH_TICKS) < _FRESH_TICKS
            if message["state"] & _NUD_REACHABLE and fresh:
                found.add(attributes.get("NDA_DST", ""))
    return found.intersection(addresses)


def gateways() -> tuple[str, ...]:
    """Return the gateways of the default routes; it blocks for a moment."""
    found: set[str] = set()
    with suppress(OSError, NetlinkError), IPRoute() as netlink:
        for family in (socket.AF_INET, socket.AF_INET6):
            for message in netlink.get_default_routes(family):
                gateway = dict(message["attrs"]).get("RTA_GATEWAY")
                found |= {gateway} if gateway else set()
    return tuple(sorted(found))
