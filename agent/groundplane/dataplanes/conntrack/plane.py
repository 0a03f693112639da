"""Conntrack entries as a dataplane: no entry may lead to a removed endpoint."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from groundplane.dataplanes import Drift
from groundplane.dataplanes.conntrack.expect import ExpectedObject, render, scope_of
from groundplane.dataplanes.conntrack.flows import Flow, FlowTargets, Frontend, Scope, stale
from groundplane.dataplanes.conntrack.kernel import Conntrack
from groundplane.dataplanes.diff import Delta
from groundplane.errors import KernelRefused, ObjectsRefused
from groundplane.net.address import unpack
from groundplane.net.protocols import NUMBERS, Family, Protocol
from groundplane.project.state import NodeBase, NodeState, Part

_NAMES: Final = {number: name for name, number in NUMBERS.items()}


class StaleFlows:
    """Implements `Dataplane`. Its objects are frontends with their targets, and stale entries.

    The kernel keeps no list of which targets may answer for a frontend, so this class does. A stale
    entry is an actual object that is not desired. Answered TCP entries and those of others stay.
    """

    name = "conntrack"
    resync_interval_s = 10.0

    def __init__(self, expected: Mapping[Frontend, FlowTargets] | None = None) -> None:
        """*expected*: what is expected before the first write, e.g. by a previous agent process."""
        self._table = Conntrack()
        self._expected = dict(expected or {})
        # A packet that was on its way while rules changed may make an entry later: since the last look,
        # these frontends were removed, and of these protocols frontends changed.
        self._removed: set[Frontend] = set()
        self._changed: set[Protocol] = {*NUMBERS}
        self._scope: tuple[NodeBase, Scope] | None = None
        self._deleted: Callable[[Family], None] = lambda _: None

    def count_by(self, deleted: Callable[[Family], None]) -> None:
        """Call *deleted* with the family of each entry deleted from now on."""
        self._deleted = deleted

    def close(self) -> None:
        self._table.close()

    def context(self, base: NodeBase) -> Scope:
        return scope_of(base)

    def render(self, base: NodeBase, part: Part) -> Mapping[ExpectedObject, FlowTargets]:
        return render(base, part)

    def read(self, base: NodeBase) -> Mapping[ExpectedObject, FlowTargets]:
        stale_flows: dict[ExpectedObject, FlowTargets] = dict.fromkeys(
            self._stale(base, NUMBERS), ()
        )
        return stale_flows | dict(self._expected.items())

    def text(self, key: ExpectedObject, value: FlowTargets) -> str:
        if isinstance(key, Flow):
            return f"entry of {unpack(key.source)}:{key.source_port} to {unpack(key.reply_source)}"
        return f"{unpack(key[0])}:{key[1]}/{_NAMES[key[2]]} with {len(value)} endpoints"

    def drift(self, base: NodeBase) -> Drift | None:
        """Return whether there is a stale entry: a packet may have made one while rules changed.

        Entries that traffic makes otherwise are not drift.

        Entries of UDP and SCTP are checked each time, since a client may prolong one forever, but
        only if a frontend uses the protocol: each listing makes the kernel scan its whole table.
        """
        try:
            found = self._stale(base, self._changed | self._used("UDP", "SCTP"))
        except KernelRefused:
            return Drift()
        if not found:
            self._changed, self._removed = set(), set()
            return None
        return Drift()

    def _used(self, *protocols: Protocol) -> set[Protocol]:
        """Return those of *protocols* that have a frontend."""
        there = {number for _, _, number in self._expected}
        return {protocol for protocol in protocols if NUMBERS[protocol] in there}

    def write(self, base: NodeBase, delta: Delta[ExpectedObject, FlowTargets]) -> None:
        """Expect what *delta* makes of what was expected, and delete the entries that do not fit.

        It is to be called after the rules were written, since rules make entries. Where endpoints
        only come, no entry leads to one that is gone, and the table is not listed.
        """
        protocols = {_NAMES[number] for number in _concerned(delta)}
        self._changed |= protocols
        for key in delta.delete:
            if not isinstance(key, Flow) and self._expected.pop(key, None) is not None:
                self._removed.add(key)
        new = {**delta.create, **{key: new for key, (_, new) in delta.update.items()}}
        self._expected |= {key: who for key, who in new.items() if not isinstance(key, Flow)}
        refused: dict[ExpectedObject, str] = {}
        for flow in self._stale(base, protocols):
            try:
                if self._table.delete(flow):
                    self._deleted(flow.family)
            except KernelRefused as error:
                refused[flow] = str(error)
        if refused:
            raise ObjectsRefused(refused)

    def _stale(self, base: NodeBase, protocols: Collection[Protocol]) -> list[Flow]:
        flows = self._table.flows(protocols)
        return stale(flows, self._expected, self._scope_of(base), self._removed)

    def _scope_of(self, base: NodeBase) -> Scope:
        if self._scope is None or self._scope[0] is not base:
            self._scope = base, scope_of(base)
        return self._scope[1]


def expected_flows(state: NodeState) -> dict[Frontend, FlowTargets]:
    """Return what is expected while *state* is in place."""
    found: dict[ExpectedObject, FlowTargets] = {}
    for part in state.parts:
        found |= render(state.base, part)
    return {key: targets for key, targets in found.items() if not isinstance(key, Flow)}


def _concerned(delta: Delta[ExpectedObject, FlowTargets]) -> Iterator[int]:
    """Yield the number of each protocol that may have stale entries after *delta*."""
    for key in (*delta.create, *delta.delete):
        yield key.protocol if isinstance(key, Flow) else key[2]
    for key, (old, new) in delta.update.items():
        if not isinstance(key, Flow) and not set(old) <= set(new):
            yield key[2]
