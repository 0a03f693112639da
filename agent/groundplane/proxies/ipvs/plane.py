"""Virtual servers and destinations in the kernel, and those that are leaving."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Final

from groundplane.dataplanes import Drift
from groundplane.dataplanes.diff import Delta
from groundplane.errors import KernelRefused, ObjectsRefused
from groundplane.project.state import NodeBase, Part
from groundplane.proxies.ipvs import messages, steering
from groundplane.proxies.ipvs.connection import Command, IpvsConnection
from groundplane.proxies.ipvs.drift import Digests
from groundplane.proxies.ipvs.messages import Timeouts
from groundplane.proxies.ipvs.objects import (
    Scheduling,
    ServerKey,
    Value,
    destination_value,
    drains,
    is_destination,
    method_of,
    width_of,
)
from groundplane.proxies.ipvs.owner import owner
from groundplane.proxies.ipvs.render import render
from groundplane.proxies.ipvs.steering import Steering
from groundplane.proxies.ipvs.text import rule

_PRESENT: Final = Path("/proc/net/ip_vs")
_SYSCTLS: Final = Path("/proc/sys/net/ipv4/vs")
_NEEDED: Final = {"conntrack": "1", "expire_nodest_conn": "1"}
_DEFAULT: Final = Timeouts(tcp=900, tcp_fin=120, udp=300)
_LIKE_CONNTRACK: Final = Timeouts(tcp=432000, tcp_fin=120, udp=120)


class IpvsPlane:
    """The dataplane in the network namespace of this process. Implements `Dataplane`.

    owner.py defines which objects are ours. A destination of weight 0 is draining: it keeps its
    connections, gets no new ones, and is removed when they have ended. A server whose destinations
    all drain is also draining. `read` returns neither.
    """

    name = "ipvs"
    resync_interval_s = 10.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._connection: IpvsConnection | None = None
        self._leaving: dict[ServerKey, float] = {}  # servers and destinations, and since when
        self._steering = Steering()
        self._last: NodeBase | None = None  # the base of the last read
        self._past: list[NodeBase] = []  # earlier bases, whose objects may still exist
        self._digests = Digests({})

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def context(self, base: NodeBase) -> Hashable:
        return (
            base.proxy_mode, base.ipvs, base.families, base.addresses, base.service_cidrs,
            base.external_cidrs, base.node_ports,
        )  # fmt: skip

    def render(self, base: NodeBase, part: Part) -> dict[ServerKey, Value]:
        return render(base, part)

    def prepare(self, base: NodeBase) -> None:
        """Set timeouts, and lead packets here if a server already exists."""
        if base.proxy_mode != "ipvs":
            return
        _require_sysctls()
        try:
            self._connected().replace_timeouts(_DEFAULT, _LIKE_CONNTRACK)
            is_led_to = any(key not in self._leaving for key in self._ours(base, *self._past))
        except OSError as error:
            raise _unreadable(error) from None
        if is_led_to:
            self._steering.lead(base)

    def unprepared(self, base: NodeBase) -> list[str]:
        """Return that the steering of packets to IPVS is missing, if it is."""
        if base.proxy_mode != "ipvs" or steering.is_whole(base):
            return []
        return ["lead packets to IPVS"]

    def read(self, base: NodeBase) -> dict[ServerKey, Value]:
        """Return our objects; none in another proxy mode, where all of them drain by themselves."""
        if base.proxy_mode != "ipvs":
            return {}
        connection = self._connected()
        if self._last and self.context(self._last) != self.context(base):
            self._past.append(self._last)
        self._last = base
        now = self._clock()
        found: dict[ServerKey, Value] = {}
        leaving: dict[ServerKey, float] = {}
        try:
            for server, scheduling in self._ours(base, *self._past).items():
                there = connection.destinations(server)
                live = {
                    each.key: each.value
                    for each in there
                    if each.weight and each.key not in self._leaving
                }
                if live:
                    found[server] = scheduling
                    found |= live
                gone = [each.key for each in there if each.key not in live]
                gone += [] if live else [server]
                leaving |= {key: self._leaving.get(key, now) for key in gone}
        except OSError as error:
            raise _unreadable(error) from None
        self._leaving = leaving
        self._digests = Digests(found)
        return found

    def _connected(self) -> IpvsConnection:
        if self._connection is None:
            try:
                self._connection = IpvsConnection()
            except OSError as error:
                raise KernelRefused(f"the kernel has no IPVS: {error.strerror}") from None
        return self._connection

    def _ours(self, *bases: NodeBase) -> dict[ServerKey, Scheduling]:
        """Return the servers that are ours according to any of *bases*."""
        owners = [owner(base) for base in bases]
        there = self._connected().servers()
        return {key: value for key, value in there if any(is_ours(key) for is_ours in owners)}

    def drift(self, base: NodeBase) -> Drift | None:
        """Return a Drift if servers or their destinations differ from the known ones; see drift.py."""
        if base.proxy_mode != "ipvs":
            return None
        if not self._steering.holds():
            return Drift()
        is_ours, connection = owner(base), self._connected()
        there = {
            key: value
            for key, value in connection.servers()
            if self._digests.knows(key) or (is_ours(key) and key not in self._leaving)
        }
        return Drift() if self._digests.differ(there, connection.weighted) else None

    def text(self, key: ServerKey, value: Value) -> str:
        return rule(key, value)

    def write(self, base: NodeBase, delta: Delta[ServerKey, Value]) -> None:
        """Make the change: create first, remove last. It is not atomic.

        Packets are led here only after a server exists to take them; the rules wait for that. A
        refused object does not block the others.
        """
        try:
            self._connected().run(self._commands(delta, self._clock()))
        except ObjectsRefused:
            self._written(base, delta)
            raise
        self._written(base, delta)

    def _written(self, base: NodeBase, delta: Delta[ServerKey, Value]) -> None:
        self._past.clear()
        self._digests.change(delta)
        self._steering.lead(base)

    def _commands(self, delta: Delta[ServerKey, Value], now: float) -> Iterator[Command]:
        for key, value in delta.create.items():
            back = self._leaving.pop(key, None) is not None
            if is_destination(key):
                yield Command(messages.SET_DEST if back else messages.NEW_DEST, key, value)
            else:
                yield Command(messages.SET_SERVICE if back else messages.NEW_SERVICE, key, value)
        for key, (_, value) in delta.update.items():
            number = messages.SET_DEST if is_destination(key) else messages.SET_SERVICE
            yield Command(number, key, value)
        servers = []
        for key, value in delta.delete.items():
            server = key[: width_of(key)]
            if not server[1] and server in delta.delete:
                # By mark: the old rules lead here until they are rewritten; `collect` runs later.
                self._leaving[key] = now
            elif not is_destination(key):
                servers.append((key, value))
            elif drains(key) and self._digests.scheduler_of(server) != "dh":  # which would refuse
                self._leaving[key] = now
                yield Command(messages.SET_DEST, key, _weightless(value))
            else:
                yield Command(messages.DEL_DEST, key, 0)
        held = {key[: width_of(key)] for key in self._leaving} if servers else set()
        for key, value in servers:
            if key in held:
                self._leaving[key] = now
            else:
                yield Command(messages.DEL_SERVICE, key, value)

    def collect(self, base: NodeBase) -> None:
        """Remove drained objects: those without connections, or whose time is up."""
        if base.proxy_mode != "ipvs":
            if not steering.is_there() or steering.is_led_to():
                return
            self._let_all_leave(base)
        if self._leaving:
            self._connected().run(list(self._left(base)))

    def _let_all_leave(self, base: NodeBase) -> None:
        """Drain everything: no rule leads to it any more."""
        connection, now, keys = self._connected(), self._clock(), list[ServerKey]()
        for server in self._ours(base):
            keys += [server, *(each.key for each in connection.destinations(server))]
        if not keys:
            steering.let_go()
            self._steering = Steering()
            connection.replace_timeouts(_LIKE_CONNTRACK, _DEFAULT)
        self._leaving = {key: self._leaving.get(key, now) for key in keys}

    def _left(self, base: NodeBase) -> Iterator[Command]:
        now = self._clock()
        leaving: dict[ServerKey, list[ServerKey]] = defaultdict(list)  # by server
        for key in self._leaving:
            leaving[key[: width_of(key)]].append(key)
        for server, keys in leaving.items():
            there = self._connected().destinations(server)
            rest = {each.key: each.connections for each in there}
            for key in filter(is_destination, keys):
                is_late = now - self._leaving[key] >= base.ipvs.drain_seconds
                if is_late or not rest.get(key):
                    del self._leaving[key]
                    if rest.pop(key, None) is not None:
                        yield Command(messages.DEL_DEST, key, 0)
            if server in self._leaving and not rest:
                del self._leaving[server]
                yield Command(messages.DEL_SERVICE, server, 0)


def _unreadable(error: OSError) -> KernelRefused:
    return KernelRefused(f"the kernel shows no virtual servers: {error.strerror}")


def _weightless(value: Value) -> int:
    """Return the value of a destination that gets no new connections."""
    return destination_value(0, method_of(value)) if isinstance(value, int) else 0


def count_servers(base: NodeBase) -> int:
    """Return the number of our virtual servers, draining or not."""
    return len(_servers(base))


def remove_servers(base: NodeBase) -> None:
    """Remove all our virtual servers at once, and reset the timeouts that we set with them."""
    with contextlib.closing(IpvsConnection()) as connection:
        connection.run([Command(messages.DEL_SERVICE, key, 0) for key in _servers(base)])
        connection.replace_timeouts(_LIKE_CONNTRACK, _DEFAULT)


def _servers(base: NodeBase) -> list[ServerKey]:
    if not _PRESENT.exists():  # asking would load the module
        return []
    is_ours = owner(base)
    with contextlib.closing(IpvsConnection()) as connection:
        return [key for key, _ in connection.servers() if is_ours(key)]


def _require_sysctls() -> None:
    """Raise KernelRefused if IPVS cannot work; the agent may not set its sysctls itself."""
    for name, value in _NEEDED.items():
        found = (_SYSCTLS / name).read_text().strip()
        if found != value:
            why = "the node's deploy sets it"
            raise KernelRefused(f"net.ipv4.vs.{name} is {found}, and has to be {value}: {why}")
