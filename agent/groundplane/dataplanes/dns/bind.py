"""Reads and changes the zones of the node's BIND 9: transfer (RFC 5936) and update (RFC 2136).

Both go over loopback and carry a TSIG key (RFC 8945). An update carries the zone's present
serial and its next one: it takes effect only on exactly the content it was computed from.
"""

import logging
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, repeat
from pathlib import Path
from typing import Final

from groundplane.dataplanes import Drift
from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.dns import wire
from groundplane.dataplanes.dns.asking import Watch, serials
from groundplane.dataplanes.dns.key_file import KeyFile
from groundplane.dataplanes.dns.records import Record, render
from groundplane.dataplanes.dns.serials import Serials
from groundplane.dataplanes.dns.session import FAILURES, DnsSession
from groundplane.dataplanes.dns.tsig import Signed, TsigKey
from groundplane.dataplanes.dns.zones import zones_of
from groundplane.errors import KernelRefused, ObjectsRefused, StateError
from groundplane.project.state import NodeBase, Part

log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 10.0
# Records of the zone itself, and those that a signing server adds (RFC 4034, 5155, 7344).
_SERVERS: Final = frozenset(
    {"SOA", *(f"TYPE{number}" for number in (43, 46, 47, 48, 50, 51, 59, 60, 65534))}
)
_MOST: Final = 20  # refused names: beyond this the zone itself counts as the cause
Updates = Iterator[tuple[bytes, wire.Soa]]
Changes = list[tuple[Record, bytes]]  # of a zone, each with its encoding in a message


class ZoneRefused(StateError):
    """The server does not transfer a zone; it may still transfer the others."""


class Bind:
    """The dataplane of the DNS server on *address*. Implements `Dataplane`.

    Ours are all records of the site's zones except those of the zones themselves: SOA, the
    apex's NS, and signatures. The file *rebuild* is created if the server has not loaded a zone.
    """

    name = "dns"
    resync_interval_s = 10.0

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
        self._session: DnsSession | None = None
        self._serials = Serials(serials)
        self._beginnings: dict[str, wire.Soa] = {}  # of each zone, after the last read or update
        self._unread: dict[str, str] = {}  # zones that the server did not transfer, and why
        self._behind: dict[str, str] = {}  # zones whose serial it did not raise, and why
        self._zones: tuple[str, ...] = ()  # last read or written
        self._watch: Watch | None = None

    def close(self) -> None:
        self._hang_up()
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _hang_up(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def context(self, base: NodeBase) -> tuple[str, ...]:
        return zones_of(base)

    def render(self, base: NodeBase, part: Part) -> dict[Record, int]:
        return render(base, part)

    @contextmanager
    def _talking(self, key: TsigKey) -> Iterator[DnsSession]:
        """Yield a connection to the server; it stays open unless an operation fails."""
        if self._session is not None and not (self._session.usable and self._session.key == key):
            self._hang_up()
        if self._session is None:
            self._session = DnsSession(self._address, self._port, key, _TIMEOUT_S)
        try:
            yield self._session
        except BaseException:
            self._hang_up()
            raise

    def prepare(self, base: NodeBase) -> None:
        """Raise each serial that is behind a served one: the server forgot it, clients did not.

        The server is asked to rebuild a zone that it has not loaded. `read` finds other errors of a
        zone, and `write` reports them.
        """
        key = self._keys.key()
        self._behind = {}
        for zone in zones_of(base):
            try:
                with self._talking(key) as session:
                    self._catch_up(session, zone)
            except FAILURES as error:
                message = f"the DNS server gave no zone {zone}: {_reason(error)}"
                raise KernelRefused(message) from None

    def _catch_up(self, session: DnsSession, zone: str) -> None:
        answer = self._beginning(session, zone)
        if answer.rcode == wire.SERVFAIL:
            self._ask_to_rebuild()
        soa = answer.soa
        if answer.rcode or soa is None:
            return
        last = self._serials.forgotten(zone, soa.serial)
        if last is None:
            self._serials.note({zone: soa.serial})
            return
        refused: dict[str, str] = {}
        self._send(session, {zone: wire.updates(zone, soa, (), last)}, refused)
        if refused:
            self._behind[zone] = f"the DNS server took no later serial of {zone}: {refused[zone]}"

    def _beginning(self, session: DnsSession, zone: str) -> wire.DnsMessage:
        """Return the server's answer to a query for the SOA of *zone*."""
        question = session.send(wire.query(zone, wire.SOA), 1)
        answer, message = session.receive()
        return session.verified(answer, message, question)

    def unprepared(self, base: NodeBase) -> list[str]:
        """Return the zones whose serial is behind one that was served."""
        key, found = self._keys.key(), []
        for zone in zones_of(base):
            try:
                with self._talking(key) as session:
                    soa = self._beginning(session, zone).soa
            except FAILURES as error:
                message = f"the DNS server gave no zone {zone}: {_reason(error)}"
                raise KernelRefused(message) from None
            if soa is not None and self._serials.forgotten(zone, soa.serial) is not None:
                found.append(f"raise the serial {soa.serial} of {zone}")
        return found

    def read(self, base: NodeBase) -> dict[Record, int]:
        """Return the records that the server has in the zones of the site.

        A zone that it does not transfer has none; the next write reports it.
        """
        key = self._keys.key()
        self._beginnings, self._unread = {}, {}
        found: dict[Record, int] = {}
        for zone in zones_of(base):
            try:
                with self._talking(key) as session:
                    self._read_zone(session, zone, found)
            except FAILURES as error:
                message = f"the DNS server gave no zone {zone}: {_reason(error)}"
                raise KernelRefused(message) from None
        self._expect(zones_of(base))
        return found

    def _known(self) -> dict[str, int]:
        """Return the serials of the zones, after the last read or update."""
        return {zone: soa.serial for zone, soa in self._beginnings.items()}

    def _expect(self, zones: tuple[str, ...]) -> None:
        self._zones = zones
        if self._watch is not None:
            self._watch.expect(zones, self._known())

    def _read_zone(self, session: DnsSession, zone: str, found: dict[Record, int]) -> None:
        try:
            found.update(self._transfer(session, zone))
        except ZoneRefused as error:
            self._unread[zone] = f"the DNS server gave no zone {zone}: {error}"

    def _transfer(self, session: DnsSession, zone: str) -> Iterator[tuple[Record, int]]:
        """Yield the records of *zone*, and note its SOA."""
        question = session.send(wire.query(zone, wire.AXFR), 1)
        begun = False
        apex = f"{zone}."
        for message in session.stream(question):
            if message.rcode:
                raise ZoneRefused(_code(message))
            for record in message.records:
                if record.type == "SOA" and message.soa and record.owner == apex:
                    if begun:
                        self._beginnings[zone] = message.soa
                        return
                    begun = True
                elif not (record.type in _SERVERS or (record.type, record.owner) == ("NS", apex)):
                    yield Record(zone, record.owner, record.type, record.data), record.ttl

    def _ask_to_rebuild(self) -> None:
        """Request a rebuild of zones that the server has not loaded: root owns their files."""
        if self._rebuild is not None:
            try:
                self._rebuild.touch()
            except OSError as error:
                log.warning("%s: %s", self._rebuild, error.strerror)

    def listen(self) -> int:
        """Report serials that differ from those after our last read or update."""
        if self._watch is None:
            self._watch = Watch(self._address, self._port)
            self._expect(self._zones)
        return self._watch.descriptor

    def text(self, key: Record, value: int) -> str:
        return f"record {key.owner} {value} {key.type} {key.rdata}".rstrip()

    def drift(self, base: NodeBase) -> Drift | None:
        """Return a Drift if a zone's serial differs from that after our last read or update."""
        if self._watch is not None:
            self._watch.forget()
        zones = zones_of(base)
        self._expect(zones)
        if self._known() != serials(self._address, self._port, zones):
            return Drift()
        self._stay_connected(zones)
        return None

    def _stay_connected(self, zones: tuple[str, ...]) -> None:
        """Use the connection so that the server keeps it: clients could use up all other slots."""
        if self._session is None:
            return
        with suppress(*FAILURES), self._talking(self._session.key) as session:
            question = session.send(wire.query(zones[0], wire.SOA), 1)
            session.verified(*session.receive(), question)

    def write(self, base: NodeBase, delta: Delta[Record, int]) -> None:
        """Send *delta* as updates: one message for a zone, more only past 64 KiB.

        Updates of several zones are sent at once. A record that cannot be encoded, names that the
        server refuses, and a zone that it does not serve do not block the rest: ObjectsRefused
        has them.
        """
        refused: dict[Hashable, str] = {}
        changes = _by_zone(delta, refused)
        lost = self._unread | self._behind
        for zone in [each for each in changes if each in lost]:
            del changes[zone]
            refused[f"zone {zone}"] = lost[zone]
        if changes:
            key = self._keys.key()
            try:
                with self._talking(key) as session:
                    for zone, code in self._send_all(session, changes).items():
                        refused |= self._apart(session, zone, changes[zone], code)
            except FAILURES as error:
                where = ", ".join(changes)
                message = f"the DNS server took no update of {where}: {_reason(error)}"
                raise KernelRefused(message) from None
            finally:
                self._expect(zones_of(base))
        if refused:
            raise ObjectsRefused(refused)

    def _send_all(self, session: DnsSession, changes: Mapping[str, Changes]) -> dict[str, str]:
        """Send *changes*; return the zones whose update is refused, each with the response code."""
        waiting = {zone: self._updates(zone, found) for zone, found in changes.items()}
        refused: dict[str, str] = {}
        while waiting:
            waiting = self._send(session, waiting, refused)
        return refused

    def _updates(self, zone: str, changes: Changes) -> Updates:
        if zone not in self._beginnings:
            raise KernelRefused(f"the zone {zone} has to be read before it is changed")
        return wire.updates(zone, self._beginnings[zone], (written for _, written in changes))

    def _send(
        self, session: DnsSession, waiting: Mapping[str, Updates], refused: dict[str, str]
    ) -> dict[str, Updates]:
        """Send the next message for each zone; return the zones whose message was accepted.

        *refused* gets the zones whose message was refused, each with the response code.
        """
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
            if message.rcode:
                refused[zone] = _code(message)
                continue
            self._beginnings[zone] = soa
            more[zone] = waiting[zone]
        self._serials.note({zone: self._beginnings[zone].serial for zone in more})
        return more

    def _apart(
        self, session: DnsSession, zone: str, changes: Changes, code: str
    ) -> dict[Hashable, str]:
        """Make *changes*, whose update was refused with *code*, name by name; return what is refused.

        A refused name keeps all its records as they were. If too many names are refused, the zone
        as a whole is reported as refused.
        """
        if code == "NXRRSET":
            return {f"zone {zone}": f"{zone} was changed by others meanwhile"}
        by_owner: dict[str, Changes] = {}
        for record, written in changes:
            by_owner.setdefault(record.owner, []).append((record, written))
        waiting, found, count = [list(by_owner.values())], dict[Hashable, str](), 0
        while waiting:
            some = waiting.pop()
            part = [each for one in some for each in one]
            refusal = self._send_all(session, {zone: part}).get(zone)
            if refusal is None:
                continue
            if refusal == "NXRRSET":
                return {f"zone {zone}": f"{zone} was changed by others meanwhile"}
            if len(some) > 1:
                middle = len(some) // 2
                waiting += [some[middle:], some[:middle]]
                continue
            count += 1
            if count > _MOST:
                return {f"zone {zone}": f"the DNS server took no update of {zone}: {refusal}"}
            owner = part[0][0].owner
            reason = f"the DNS server took no update of {owner}: {refusal}"
            found |= {record: reason for record, _ in part}
        return found


def _by_zone(delta: Delta[Record, int], refused: dict[Hashable, str]) -> dict[str, Changes]:
    """Return the encoded changes of each zone, deletions first.

    *refused* gets the records that cannot be encoded.
    """
    found: dict[str, Changes] = {}
    changed = ((record, ttl) for record, (_, ttl) in delta.update.items())
    for record, ttl in chain(zip(delta.delete, repeat(None)), changed, delta.create.items()):
        zone, owner, type_, data = record
        try:
            written = wire.encoded(wire.ZoneChange(owner, type_, data, ttl))
        except (ValueError, OSError) as error:  # of the socket module: an address that is none
            refused[record] = f"{owner} {type_} cannot be written: {error}"
            continue
        if zone not in found:
            found[zone] = []
        found[zone].append((record, written))
    return found


def _code(message: wire.DnsMessage) -> str:
    return wire.RCODES.get(message.rcode, str(message.rcode))


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
