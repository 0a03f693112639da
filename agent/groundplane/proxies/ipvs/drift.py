"""Digests of the known objects, to compare with the kernel's. Pure.

IPVS reports no changes, and reading everything takes a request for each server. So each check
covers all servers, which is one dump, and the destinations of some servers, in turn.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from groundplane.dataplanes.diff import Delta
from groundplane.proxies.ipvs.objects import (
    Scheduling,
    ServerKey,
    Value,
    is_destination,
    weight_of,
    width_of,
)

_AT_ONCE: Final = 1000  # servers whose destinations each check covers


class Digests:
    """Digests of *objects*, by server.

    A digest has the server's scheduling and an order-independent sum over its destinations.
    """

    def __init__(self, objects: Mapping[ServerKey, Value]) -> None:
        self._servers: dict[ServerKey, Scheduling] = {}
        self._behind: dict[ServerKey, int] = {}
        self._turn: list[ServerKey] = []  # servers still to be checked
        self._add(objects.items())

    def change(self, delta: Delta[ServerKey, Value]) -> None:
        """Record the change *delta*."""
        self._remove((key, old) for key, (old, _) in delta.update.items())
        self._remove(delta.delete.items())
        for key in delta.delete:
            if not is_destination(key):
                del self._behind[key]
        self._add(delta.create.items())
        self._add((key, new) for key, (_, new) in delta.update.items())

    def knows(self, server: ServerKey) -> bool:
        """Return whether *server* is known to exist."""
        return server in self._servers

    def scheduler_of(self, server: ServerKey) -> str:
        """Return the scheduler of *server*; "" if it is not known."""
        found = self._servers.get(server)
        return found.scheduler if found else ""

    def _add(self, objects: Iterable[tuple[ServerKey, Value]]) -> None:
        for key, value in objects:
            if isinstance(value, Scheduling):
                self._servers[key] = value
                self._behind.setdefault(key, 0)
            else:
                server = key[: width_of(key)]
                self._behind[server] = self._behind.get(server, 0) + _number(key, value)

    def _remove(self, objects: Iterable[tuple[ServerKey, Value]]) -> None:
        for key, value in objects:
            if isinstance(value, Scheduling):
                self._servers.pop(key, None)
            else:
                self._behind[key[: width_of(key)]] -= _number(key, value)

    def differ(
        self,
        servers: Mapping[ServerKey, Scheduling],
        destinations: Callable[[ServerKey], Iterable[tuple[ServerKey, int]]],
    ) -> bool:
        """Return whether *servers*, or the *destinations* of some due ones, have changed."""
        if servers != self._servers:
            return True
        self._turn = self._turn or list(self._servers)
        due, self._turn = self._turn[:_AT_ONCE], self._turn[_AT_ONCE:]
        return any(
            self._behind[server]
            != sum(_number(key, value) for key, value in destinations(server) if weight_of(value))
            for server in due
            if server in self._servers
        )


def _number(key: ServerKey, value: int) -> int:
    """Return a number for a destination.

    It is the hash of one byte string: hashes of tuples that differ only in the last part are close.
    """
    return hash(key + value.to_bytes(4))
