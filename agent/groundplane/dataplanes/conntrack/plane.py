"""Conntrack entries of UDP as a dataplane: what is wanted is that none leads to a dead endpoint."""

from collections.abc import Callable, Mapping

from groundplane.dataplanes.conntrack.expect import Endpoints, Object, render, scope_of
from groundplane.dataplanes.conntrack.flows import Expectation, Flow, Scope, stale
from groundplane.dataplanes.conntrack.kernel import Conntrack
from groundplane.diff import Delta, patch
from groundplane.errors import KernelRefused, ObjectsRefused
from groundplane.model.address import unpack
from groundplane.model.service import Family
from groundplane.project.state import NodeBase, Part

_NOBODY: Endpoints = frozenset()


class StaleFlows:
    """Implements `Dataplane`. Its objects are places with who may answer there, and stale entries.

    The kernel keeps no list of who may answer where, so this does. A stale entry is an object that
    is there and that nobody wants. TCP entries and those of others are never touched.
    """

    name = "conntrack"
    patience_s = 10.0

    def __init__(self) -> None:
        self._table = Conntrack()
        self._expected: dict[Object, Endpoints] = {}
        self._deleted: Callable[[Family], None] = lambda _: None

    def count_by(self, deleted: Callable[[Family], None]) -> None:
        """Let *deleted* be called with the family of each entry that is deleted from now on."""
        self._deleted = deleted

    def close(self) -> None:
        self._table.close()

    def context(self, base: NodeBase) -> Scope:
        return scope_of(base)

    def render(self, base: NodeBase, part: Part) -> Mapping[Object, Endpoints]:
        return render(base, part)

    def prepare(self, base: NodeBase) -> None:
        """Nothing of this takes long."""

    def read(self, base: NodeBase) -> Mapping[Object, Endpoints]:
        return self._expected | dict.fromkeys(self._stale(base), _NOBODY)

    def listen(self) -> None:
        """A packet that makes an entry is no change that somebody makes."""

    def settle(self, base: NodeBase) -> None:
        """Nothing of this becomes due."""

    def culprit(self) -> str:
        return ""

    def text(self, key: Object, value: Endpoints) -> str:
        if isinstance(key, Flow):
            return f"entry of {unpack(key.source)}:{key.source_port} to {unpack(key.reply_source)}"
        return f"{unpack(key[0])}:{key[1]} with {len(value)} endpoints"

    def disturbed(self, base: NodeBase) -> bool:
        """Return whether there is a stale entry: a packet may have made one while rules changed."""
        try:
            return bool(self._stale(base))
        except KernelRefused:
            return True

    def write(self, base: NodeBase, delta: Delta[Object, Endpoints]) -> None:
        """Expect what *delta* makes of what was expected, and delete the entries that do not fit.

        It is to be called after the rules were written, since rules make entries.
        """
        after = patch(self._expected, delta)
        self._expected = {key: who for key, who in after.items() if not isinstance(key, Flow)}
        refused: dict[Object, str] = {}
        for flow in self._stale(base):
            try:
                if self._table.delete(flow):
                    self._deleted(flow.family)
            except KernelRefused as error:
                refused[flow] = str(error)
        if refused:
            raise ObjectsRefused(refused)

    def _stale(self, base: NodeBase) -> list[Flow]:
        expectations = [
            Expectation(*place, who)
            for place, who in self._expected.items()
            if not isinstance(place, Flow)
        ]
        scope = scope_of(base)
        return [
            flow
            for family in base.families
            for flow in stale(self._table.flows(family), expectations, scope)
        ]
