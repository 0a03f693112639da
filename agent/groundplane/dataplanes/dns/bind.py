"""Reads and changes the zones of the node's BIND 9: transfer (RFC 5936) and update (RFC 2136).

Both go over loopback and carry a TSIG key (RFC 8945). An update tells the serial that the zone has
and the one that it gets: it takes effect on exactly the content that it is the difference to.
"""

import logging
import select
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from groundplane.dataplanes.dns import wire
from groundplane.dataplanes.dns.key_file import KeyFile
from groundplane.dataplanes.dns.records import Record, render
from groundplane.dataplanes.dns.serials import Serials
from groundplane.dataplanes.dns.session import FAILURES, Session
from groundplane.dataplanes.dns.tsig import Key, Signed
from groundplane.dataplanes.dns.zones import zones_of
from groundplane.diff import Delta
from groundplane.errors import KernelRefused, StateError
from groundplane.project.state import NodeBase, Part

log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 10.0
_LOOK_S: Final = 1.0
# Of the zone itself, and what a server that signs it puts there (RFC 4034, 5155, 7344).
_SERVERS: Final = frozenset(
    {"SOA", *(f"TYPE{number}" for number in (43, 46, 47, 48, 50, 51, 59, 60, 65534))}
)
Updates = Iterator[tuple[bytes, wire.Soa]]


class Bind:
    """The dataplane of the DNS server on *address*. Implements `Dataplane`.

    Ours is every record of the zones of the site but those of the zones themselves: SOA, the
    apex's NS, and signatures. The file *rebuild* is made when the server has not loaded a zone.
    """

    name = "dns"
    patience_s = 0.5

    def __init__(
        self,
        key_file: Path,
        serials: Path | None = None,
        *,
        rebuild: Path | None = None,
        address: str = "127.0.0.1",
        port: int = 53,
    ) -> None:
        self._keys, self._address, self._port = KeyFile(key_file), address, port
        self._rebuild = rebuild
        self._session: Session | None = None
        self._serials = Serials(serials)
        self._beginnings: dict[str, wire.Soa] = {}  # of each zone, after the last read or update

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def context(self, base: NodeBase) -> tuple[str, ...]:
        return zones_of(base)

    def render(self, base: NodeBase, part: Part) -> dict[Record, int]:
        return render(base, part)

    @contextmanager
    def _talking(self, key: Key) -> Iterator[Session]:
        """Yield a connection to the server, which stays open unless something fails."""
        if self._session is not None and not (self._session.usable and self._session.key == key):
            self.close()
        if self._session is None:
            self._session = Session(self._address, self._port, key, _TIMEOUT_S)
        try:
            yield self._session
        except BaseException:
            self.close()
            raise

    def prepare(self, base: NodeBase) -> None:
        """Nothing of this takes long."""

    def read(self, base: NodeBase) -> dict[Record, int]:
        """Return the records that the server has in the zones of the site."""
        key = self._keys.key()
        self._beginnings = {}
        found: dict[Record, int] = {}
        for zone in zones_of(base):
            try:
                with self._talking(key) as session:
                    found.update(self._transfer(session, zone))
                    self._catch_up(session, zone)
            except FAILURES as error:
                message = f"the DNS server gave no zone {zone}: {_reason(error)}"
                raise KernelRefused(message) from None
        self._serials.note({zone: soa.serial for zone, soa in self._beginnings.items()})
        return found

    def _transfer(self, session: Session, zone: str) -> Iterator[tuple[Record, int]]:
        """Yield the records of *zone*, and note how it begins."""
        question = session.send(wire.query(zone, wire.AXFR), 1)
        begun = False
        apex = f"{zone}."
        for message in session.stream(question):
            if message.rcode:
                if message.rcode == wire.SERVFAIL:
                    self._ask_to_rebuild()
                raise StateError(_code(message))
            for record in message.records:
                if record.type == "SOA" and message.soa and record.owner == apex:
                    if begun:
                        self._beginnings[zone] = message.soa
                        return
                    begun = True
                elif not (record.type in _SERVERS or (record.type, record.owner) == ("NS", apex)):
                    yield Record(zone, record.owner, record.type, record.data), record.ttl

    def _ask_to_rebuild(self) -> None:
        """Ask for zones to be rebuilt that the server has not loaded: their files are root's."""
        if self._rebuild is not None:
            try:
                self._rebuild.touch()
            except OSError as error:
                log.warning("%s: %s", self._rebuild, error.strerror)

    def _catch_up(self, session: Session, zone: str) -> None:
        """Raise a serial that is behind one that was served: the server forgot, its clients did not."""
        there = self._beginnings[zone]
        if (last := self._serials.forgotten(zone, there.serial)) is not None:
            self._send(session, {zone: wire.updates(zone, there, (), last)})

    def listen(self) -> None:
        """The server tells nobody of updates."""

    def settle(self, base: NodeBase) -> None:
        """Nothing of this becomes due."""

    def culprit(self) -> str:
        return ""

    def text(self, key: Record, value: int) -> str:
        return f"record {key.owner} {value} {key.type} {key.rdata}".rstrip()

    def disturbed(self, base: NodeBase) -> bool:
        """Return whether a zone has another serial than after our last read or update."""
        known = {zone: soa.serial for zone, soa in self._beginnings.items()}
        return known != self.serials(zones_of(base))

    def serials(self, zones: Iterable[str]) -> dict[str, int]:
        """Return the serials of those of *zones* for which the server has one."""
        numbered = dict(enumerate(zones, 1))
        found: dict[str, int] = {}
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as asking, suppress(OSError):
            asking.connect((self._address, self._port))
            for number, zone in numbered.items():
                asking.send(wire.query(zone, wire.SOA, number))
            until = time.monotonic() + _LOOK_S
            while numbered and (left := until - time.monotonic()) > 0:
                if not select.select([asking], [], [], left)[0]:
                    break
                with suppress(StateError):
                    answer = wire.decode(asking.recv(4096))
                    zone = numbered.pop(answer.number, "")
                    if answer.soa and not answer.rcode:
                        found[zone] = answer.soa.serial
        return found

    def write(self, _base: NodeBase, delta: Delta[Record, int]) -> None:
        """Send *delta* as updates: one message for a zone, more only past 64 KiB.

        What concerns several zones is sent to all of them at once.
        """
        waiting = {zone: self._updates(zone, found) for zone, found in _by_zone(delta).items()}
        if not waiting:
            return
        key, where = self._keys.key(), ", ".join(waiting)
        try:
            with self._talking(key) as session:
                while waiting := self._send(session, waiting):
                    pass
        except ValueError as error:
            raise KernelRefused(f"an update of {where} cannot be written: {error}") from None
        except FAILURES as error:
            message = f"the DNS server took no update of {where}: {_reason(error)}"
            raise KernelRefused(message) from None

    def _updates(self, zone: str, changes: Iterable[wire.Change]) -> Updates:
        if zone not in self._beginnings:
            raise KernelRefused(f"the zone {zone} has to be read before it is changed")
        return wire.updates(zone, self._beginnings[zone], changes)

    def _send(self, session: Session, waiting: Mapping[str, Updates]) -> dict[str, Updates]:
        """Send the next message for each zone; return those that had one, once all are taken."""
        sent: dict[int, tuple[str, wire.Soa, Signed]] = {}
        for number, (zone, messages) in enumerate(waiting.items(), 1):
            if following := next(messages, None):
                sent[number] = zone, following[1], session.send(following[0], number)
        more: dict[str, Updates] = {}
        while sent:
            answer, message = session.receive()
            if message.number not in sent:
                raise StateError("it answers what was not asked")
            zone, soa, question = sent.pop(message.number)
            session.verified(answer, message, question)
            if _code(message) == "NXRRSET":
                raise StateError(f"{zone} was changed by others meanwhile")
            if message.rcode:
                raise StateError(f"{_code(message)} for {zone}")
            self._beginnings[zone] = soa
            more[zone] = waiting[zone]
        self._serials.note({zone: self._beginnings[zone].serial for zone in more})
        return more


def _by_zone(delta: Delta[Record, int]) -> dict[str, list[wire.Change]]:
    """Return the changes of each zone: deletions first."""
    found: dict[str, list[wire.Change]] = {}
    for record in delta.delete:
        found.setdefault(record.zone, []).append(wire.Change(*record[1:], None))
    for record, (_, ttl) in delta.update.items():
        found.setdefault(record.zone, []).append(wire.Change(*record[1:], ttl))
    for record, ttl in delta.create.items():
        found.setdefault(record.zone, []).append(wire.Change(*record[1:], ttl))
    return found


def _code(message: wire.Message) -> str:
    return wire.RCODES.get(message.rcode, str(message.rcode))


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
