"""Reads and changes the zones of the node's BIND 9: transfer (RFC 5936) and update (RFC 2136).

Both go over loopback and carry a TSIG key (RFC 8945). BIND raises a zone's serial with each
update that changes it, writes it to its journal first, and to the zone file in its own time.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import dns.xfr
import dns.zone

from groundplane.dataplanes.dns.records import Record, render
from groundplane.dataplanes.dns.zones import KEY_NAME, zones_of
from groundplane.diff import Delta
from groundplane.errors import KernelRefused, StateError
from groundplane.project.state import NodeBase, Part

_TIMEOUT_S: Final = 10.0
_LOOK_S: Final = 1.0
_RECORDS_PER_MESSAGE: Final = 400  # a message has at most 64 KiB
_SECRET = re.compile(r'secret\s+"([A-Za-z0-9+/=]+)"')
# EOFError: the server closed the connection, as when it stops.
_FAILURES: Final = (OSError, EOFError, dns.exception.DNSException)
_OURS: Final = frozenset({"SOA", "NS"})  # of the zone itself; they stand in its file


class Bind:
    """The dataplane of the DNS server on *address*. Implements `Dataplane`.

    Ours is every record of the zones of the site but their SOA and NS.
    """

    name = "dns"
    patience_s = 0.5

    def __init__(self, key_file: Path, *, address: str = "127.0.0.1", port: int = 53) -> None:
        self._key_file, self._address, self._port = key_file, address, port
        self._serials: dict[str, int | None] = {}  # of each zone, after the last read or update

    def close(self) -> None:
        """Nothing stays open between changes."""

    def context(self, base: NodeBase) -> tuple[str, ...]:
        return zones_of(base)

    def render(self, base: NodeBase, part: Part) -> dict[Record, int]:
        return render(base, part)

    def _key(self) -> dns.tsig.Key:
        try:
            found = _SECRET.search(self._key_file.read_text(errors="replace"))
            secret = base64.b64decode(found[1]) if found else b""
        except OSError as error:
            raise StateError(f"{self._key_file}: {error.strerror}") from None
        except ValueError as error:
            raise StateError(f"{self._key_file}: the secret is no base64: {error}") from None
        if not secret:
            raise StateError(f"{self._key_file}: no secret in it")
        return dns.tsig.Key(KEY_NAME, secret, dns.tsig.HMAC_SHA256)

    def prepare(self, base: NodeBase) -> None:
        """Nothing of this takes long."""

    def read(self, base: NodeBase) -> dict[Record, int]:
        """Return the records that the server has in the zones of the site."""
        key = self._key()
        # Asked before: what changes meanwhile shows at the next look.
        self._serials = self._serials_of(zones_of(base))
        return {record: ttl for zone in zones_of(base) for record, ttl in self._transfer(zone, key)}

    def _transfer(self, zone: str, key: dns.tsig.Key) -> Iterator[tuple[Record, int]]:
        contents = dns.zone.Zone(zone, relativize=False)
        query, _ = dns.xfr.make_query(contents)
        query.use_tsig(key)
        try:
            dns.query.inbound_xfr(
                self._address, contents, query, port=self._port, lifetime=_TIMEOUT_S
            )
        except _FAILURES as error:
            raise KernelRefused(f"the DNS server gave no zone {zone}: {_reason(error)}") from None
        for owner, ttl, rdata in contents.iterate_rdatas():
            type_ = dns.rdatatype.to_text(rdata.rdtype)
            if type_ not in _OURS:
                yield Record(zone, owner.to_text(), type_, rdata.to_text()), ttl

    def listen(self) -> None:
        """The server tells nobody of updates."""

    def culprit(self) -> str:
        return ""

    def text(self, key: Record, value: int) -> str:
        return f"record {key.owner} {value} {key.type} {key.rdata}"

    def disturbed(self, base: NodeBase) -> bool:
        """Return whether a zone has another serial than after our last read or update."""
        return self._serials != self._serials_of(zones_of(base))

    def _serials_of(self, zones: Iterable[str]) -> dict[str, int | None]:
        """Return the serial of each of *zones*, None where the server does not say.

        One that does not answer at all is asked once: each time takes a second.
        """
        found: dict[str, int | None] = dict.fromkeys(zones)
        with suppress(*_FAILURES):
            for zone in found:
                query = dns.message.make_query(zone, "SOA")
                answer = dns.query.udp(query, self._address, timeout=_LOOK_S, port=self._port)
                serials = (int(rdata.serial) for rrset in answer.answer for rdata in rrset)
                found[zone] = next(serials, None)
        return found

    def _serial(self, zone: str) -> int | None:
        return self._serials_of([zone])[zone]

    def write(self, base: NodeBase, delta: Delta[Record, int]) -> None:
        """Send *delta* as updates: one message for a zone, more only past 64 KiB."""
        key = self._key()
        for zone in zones_of(base):
            changes = iter(_changes(zone, delta))
            first = list(islice(changes, _RECORDS_PER_MESSAGE))
            if not first:
                continue
            intact = self._serial(zone) == self._serials.get(zone)
            self._send(zone, first, key)
            while chunk := list(islice(changes, _RECORDS_PER_MESSAGE)):
                self._send(zone, chunk, key)
            self._serials[zone] = self._serial(zone) if intact else None

    def _send(self, zone: str, chunk: list[tuple[Record, int | None]], key: dns.tsig.Key) -> None:
        update = dns.update.UpdateMessage(zone, keyring=key)
        try:
            for record, ttl in chunk:
                if ttl is None:
                    update.delete(record.owner, record.type, record.rdata)
                else:
                    update.add(record.owner, ttl, record.type, record.rdata)
            answer = dns.query.tcp(update, self._address, timeout=_TIMEOUT_S, port=self._port)
        except _FAILURES as error:
            message = f"the DNS server took no update of {zone}: {_reason(error)}"
            raise KernelRefused(message) from None
        if answer.rcode() != dns.rcode.NOERROR:
            text = dns.rcode.to_text(answer.rcode())
            raise KernelRefused(f"the DNS server refused an update of {zone}: {text}")


def _changes(zone: str, delta: Delta[Record, int]) -> Iterator[tuple[Record, int | None]]:
    """Yield the changes of *zone*: deletions first, a TTL of None being one."""
    yield from ((record, None) for record in delta.delete if record.zone == zone)
    yield from ((record, new) for record, (_, new) in delta.update.items() if record.zone == zone)
    yield from ((record, ttl) for record, ttl in delta.create.items() if record.zone == zone)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
