"""Reads and writes our tables in the kernel."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from enum import Enum
from typing import Final, Literal

from groundplane.dataplanes import Drift
from groundplane.dataplanes.diff import Delta, pieces
from groundplane.dataplanes.nftables.batch import emptying, encode, encode_expiring
from groundplane.dataplanes.nftables.maps import Element, Elements, Map, map_of
from groundplane.dataplanes.nftables.monitor import Monitor
from groundplane.dataplanes.nftables.netlink import NftConnection
from groundplane.dataplanes.nftables.rules import RulesOf
from groundplane.dataplanes.nftables.text import TABLES, framework, framework_digest, tables_of
from groundplane.errors import ChangeRejected, KernelRefused
from groundplane.kernel import owned
from groundplane.kernel.ruleset import compile_ruleset
from groundplane.kernel.tables import BatchMessage, Table, removal
from groundplane.project.state import NodeBase, Part

_TRIES: Final = 10
_PIECE: Final = 12_000  # elements of one transaction of a first load


class Tables(Enum):
    """What the kernel has if it does not have exactly one framework of ours."""

    ABSENT = "no table of ours"
    MIXED = "tables of several frameworks, or not all of a framework"
    TAMPERED = "a framework of ours with rules of others"
    UNKNOWN = "a write began, and its end was not seen"


Framework = str | Tables  # a framework of ours by its digest


class Nftables:
    """The dataplane in the network namespace of this process. Implements `Dataplane`.

    *rules_of* returns a node's rules. Ours are the tables TABLES, with their whole content, and
    nothing else; all rules share one transaction.
    """

    name = "nftables"
    resync_interval_s = 10.0

    def __init__(self, rules_of: RulesOf) -> None:
        self._rules_of = rules_of
        self._connection = NftConnection()
        self._digested: tuple[NodeBase, str] | None = None
        self._framework: Framework = Tables.UNKNOWN  # at the last read or write
        self._rules: tuple[bytes, ...] | None = (
            None  # as we loaded them, or found them at the start
        )
        self._generation = -1  # of the ruleset, after the last read or write
        self._monitor: Monitor | None = None
        self._port = 0  # of the connection whose transactions the monitor does not report
        self._uncertain = False  # whether others may have changed what is ours unnoticed

    def close(self) -> None:
        self._connection.close()
        if self._monitor is not None:
            self._monitor.close()

    def context(self, base: NodeBase) -> tuple[str, ...]:
        # A node port is an element with this node's address.
        return (self._digest(base), *base.addresses)

    def render(self, base: NodeBase, part: Part) -> Elements:
        found: Elements = {}
        for each in self._rules_of(base):
            if elements := each.render(base, part):
                found = found | elements if found else elements  # a copy only if there are several
        return found

    def maps(self, base: NodeBase) -> list[Map]:
        """Return the maps that the framework of *base* has."""
        return [map_ for each in self._rules_of(base) for map_ in each.maps(base)]

    def _digest(self, base: NodeBase) -> str:
        """Return the digest of the framework that *base* needs; cached, since a base is large."""
        if self._digested is None or self._digested[0] is not base:
            self._digested = base, framework_digest(self._rules_of(base), base)
        return self._digested[1]

    def _framework_there(self, base: NodeBase) -> str | Literal[Tables.ABSENT, Tables.MIXED]:
        """Return the framework of our tables; their comments have its digest."""
        needed = tables_of(self._rules_of(base), base)
        comments = {each: self._connection.table_comment(each) for each in TABLES}
        found = {comments.pop(each) for each in needed}
        if len(found) > 1 or any(each is not None for each in comments.values()):
            return Tables.MIXED
        return Tables.ABSENT if (digest := found.pop()) is None else digest

    def _rules_there(self, base: NodeBase) -> tuple[bytes, ...]:
        return tuple(
            self._connection.framework_there(table, each.constant)
            for each in self._rules_of(base)
            for table in each.tables(base)
        )

    def read(self, base: NodeBase) -> Elements:
        """Return the kernel's elements; none if the framework of *base* is not loaded."""
        try:
            for _ in range(_TRIES):
                generation = self._connection.generation()
                with suppress(InterruptedError):
                    found = self._read(base)
                    if self._connection.generation() == generation:
                        self._generation = generation
                        return found
        except OSError as error:
            raise KernelRefused(f"the kernel shows no ruleset: {error.strerror}") from None
        raise KernelRefused("others changed the ruleset again and again while it was read")

    def _read(self, base: NodeBase) -> Elements:
        self._framework = self._framework_there(base)
        if self._framework == self._digest(base):
            rules = self._rules_there(base)
            if self._rules not in (None, rules):
                self._framework = Tables.TAMPERED
            self._rules = self._rules or rules
        maps = self.maps(base) if self._framework == self._digest(base) else []
        return dict(pair for map_ in maps for pair in self._connection.elements(map_))

    def prepare(self, base: NodeBase) -> None:
        """Load the framework of *base* if the kernel has none of our tables."""
        with suppress(OSError):
            if self._framework_there(base) is Tables.ABSENT:
                self._ignore_ourselves()
                self._load(base)

    def unprepared(self, base: NodeBase) -> list[str]:
        """Return that our tables are missing or will be replaced, if so."""
        try:
            there = self._framework_there(base)
        except OSError as error:
            raise KernelRefused(f"the kernel shows no tables: {error.strerror}") from None
        if there == self._digest(base):
            return []
        verb = "load" if there is Tables.ABSENT else "replace"
        tables = ", ".join(map(str, tables_of(self._rules_of(base), base)))
        return [f"{verb} tables {tables}"]

    def write(self, base: NodeBase, delta: Delta[Element, bytes]) -> None:
        """Make the change in one transaction.

        Another framework (an older version's, another range, one that others added rules to) is
        replaced together with all elements in one transaction; *delta* then creates everything,
        since `read` returned nothing. Clients keep their endpoints. If the kernel had none of our
        tables, the services follow in several transactions.
        """
        wanted, known = self._digest(base), self._framework
        self._ignore_ourselves()
        try:
            # If nobody has written since, the kernel has what we know.
            rests = known == wanted and self._connection.generation() == self._generation
            there = wanted if rests else self._framework_there(base)
        except OSError as error:
            raise KernelRefused(f"the kernel shows no tables: {error.strerror}") from None
        self._framework = Tables.UNKNOWN
        if there != wanted and known == wanted:
            # *delta* is the difference to what is gone.
            raise KernelRefused("others removed or changed our tables")
        self._require(base, delta)
        before, own = self._generation, 0
        replaced = known is Tables.TAMPERED or there not in (wanted, Tables.ABSENT)
        if replaced:
            self._replace(base, delta)
            own += 1
        else:
            if there is Tables.ABSENT:
                self._load(base)
                own += 1
            own += self._fill(delta) if delta.from_nothing else self._change(delta)
        self._framework = wanted
        if replaced or there is Tables.ABSENT:
            self._rules = None
            with suppress(InterruptedError):  # others write: the next read takes what is there
                self._rules = self._rules_there(base)
        # Only our own transactions are expected: the next check detects any other.
        self._generation = (before + own) & 0xFFFFFFFF

    def _load(self, base: NodeBase) -> None:
        """Load the framework of *base*; the kernel must have none of our tables."""
        compiled = compile_ruleset(self._framework_of(base))
        with _hasty_threads():
            self._connection.commit(compiled)

    def _replace(self, base: NodeBase, delta: Delta[Element, bytes]) -> None:
        """Replace our tables by the framework of *base* with what *delta* creates."""
        try:
            self._connection.commit(
                [
                    *self._emptying(base),
                    *removal(TABLES),
                    *compile_ruleset(self._framework_of(base)),
                    *encode(delta),
                    *self._kept(base),
                ]
            )
        except ChangeRejected as rejected:  # no part of it can be written alone
            raise KernelRefused(str(rejected)) from None

    def _emptying(self, base: NodeBase) -> Iterator[BatchMessage]:
        """Yield the messages that empty sets of the existing tables, of this version or another."""
        names = [name for each in self._rules_of(base) for name in each.emptied]
        for table in TABLES:
            for name in names:
                if self._connection.has_set(table, name):
                    yield emptying(table, name)

    def _framework_of(self, base: NodeBase) -> str:
        return framework(self._rules_of(base), base)

    def _require(self, base: NodeBase, delta: Delta[Element, bytes]) -> None:
        """Raise KernelRefused if rules would lead to missing tables of another dataplane."""
        for each in self._rules_of(base):
            for table in each.required(base, delta):
                if not self._connection.has_table(table):
                    message = f"table {table} is not there, and the rules stay as they are"
                    raise KernelRefused(message)

    def _change(self, delta: Delta[Element, bytes]) -> int:
        """Make the change in one transaction; return the number of transactions."""
        if not delta:
            return 0
        self._connection.commit(encode(delta))
        return 1

    def _fill(self, delta: Delta[Element, bytes]) -> int:
        """Create all elements; return the number of transactions.

        The tables are new, so the change need not be atomic: the kernel takes complete services in
        batches while later ones are still being rendered.
        """
        with ThreadPoolExecutor(1, "nftables") as thread, _hasty_threads():
            parts = (Delta(create=piece) for piece in pieces(delta.create, _PIECE) if piece)
            written = [thread.submit(self._connection.commit, encode(each)) for each in parts]
            for each in written:
                each.result()
        return len(written)

    def _kept(self, base: NodeBase) -> list[BatchMessage]:
        """Return the messages that copy the elements written by packets to the replacement maps.

        Endpoint numbers are the same in both; the number of a removed endpoint leads nowhere.
        """
        maps = [map_ for each in self._rules_of(base) for map_ in each.kept(base)]
        # An earlier version had all rules in one table.
        places = [
            (m, table) for m in maps for table in (m.table, Table(m.table.family, owned.TABLE))
        ]
        try:
            return encode_expiring(
                kept for map_, table in places for kept in self._connection.kept(map_, table)
            )
        except OSError:
            return []  # clients choose an endpoint again, which is better than no change

    def listen(self) -> int:
        """Start listening for transactions; the generation reveals earlier ones."""
        self._port = self._connection.port
        self._monitor = Monitor(self._port)
        self._uncertain = self._connection.generation() != self._generation
        return self._monitor.fileno()

    def drift(self, _base: NodeBase) -> Drift | None:
        """Return a Drift if others changed our tables or, while we do not listen, any table."""
        if self._monitor is None:
            return Drift() if self._connection.generation() != self._generation else None
        touch, uncertain = self._monitor.touched(), self._uncertain
        self._uncertain = False
        if touch is None:
            return Drift() if uncertain else None
        return Drift(touch.by)

    def _ignore_ourselves(self) -> None:
        """Let the monitor ignore our next transactions, by our current port."""
        if self._monitor is not None and self._port != self._connection.port:
            self._port = self._connection.port
            self._monitor.ignore(self._port)

    def text(self, key: Element, value: bytes) -> str:
        map_ = map_of(key)
        return f"{map_} {{ {map_.element_text(key, value)} }}"


@contextmanager
def _hasty_threads() -> Iterator[None]:
    """Let a thread that returns from the kernel continue at once, while another one computes."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
