"""Applies states to one dataplane, at a cost proportional to what changed.

The written state is remembered as parts of a NodeState and not read back: the next state's parts
are compared with them, and only those that differ are rendered. The dataplane is read if nothing is
remembered: at the start, after a failure, after a change of its context.
"""

import logging
from collections.abc import Collection, Hashable, Iterator, Mapping
from functools import partial
from typing import Final, Generic, TypeVar

from groundplane.dataplanes import Collecting, Dataplane, Drift, Preparing, Watching
from groundplane.dataplanes.diff import Delta, Union, combine, diff
from groundplane.dataplanes.isolate import changes_by_part, write_apart
from groundplane.errors import ChangeRejected, KernelRefused, ObjectsRefused
from groundplane.project.extent import All, Extent
from groundplane.project.state import NodeBase, NodeState, Part, PartKey, subject_of

log = logging.getLogger(__name__)

ALL: Final = All()

K = TypeVar("K")
V = TypeVar("V")


class Reconciler(Generic[K, V]):
    """One dataplane and what it is known to hold."""

    def __init__(self, plane: Dataplane[K, V]) -> None:
        self.plane = plane
        self._known: NodeState | None = None
        self._before: NodeState | None = None  # its content before something was refused
        self._forgotten: NodeState | None = None  # its content before others may have changed it
        self._base: NodeBase | None = None  # of the last state, even if it was applied only in part

    def forget(self) -> None:
        """Read the dataplane again at the next `apply`."""
        self._forgotten = self._known or self._forgotten
        self._known = None

    def repair(self) -> Delta[K, V]:
        """Apply the last state again, if it was forgotten; return what others had changed."""
        forgotten = self._forgotten
        return self.apply(forgotten) if forgotten is not None else Delta()

    def collect(self) -> None:
        """Let the dataplane do work that is due by time."""
        if self._base is not None and isinstance(self.plane, Collecting):
            self.plane.collect(self._base)

    def drift(self) -> Drift | None:
        """Forget the remembered state if others may have changed it; return the Drift, if any."""
        if self._known is None or not isinstance(self.plane, Watching):
            return None
        found = self.plane.drift(self._known.base)
        if found is not None:
            self.forget()
        return found

    def prepare(self, base: NodeBase) -> None:
        """Let the dataplane prepare for a state with *base*, unless its content is known."""
        if not self._is_known(base) and isinstance(self.plane, Preparing):
            self.plane.prepare(base)

    def apply(self, state: NodeState, extent: Extent = ALL) -> Delta[K, V]:
        """Make the dataplane hold *state*; return the change that this took.

        Only the parts in *extent* may differ from the last state; others are skipped. A change that
        the kernel refuses is retried once, as the difference to the objects then read; objects
        refused again do not block the others. GroundplaneError says what was refused: then nothing
        is remembered, and the next call reads the dataplane.
        """
        self._before = self._known or self._before
        if state is not self._forgotten:
            self._forgotten = None
        try:
            self.prepare(state.base)
            delta = self.plan(state, extent)
        finally:
            self._known = None
        self._base = state.base
        try:
            if delta:
                self.plane.write(state.base, delta)
        except KernelRefused as refusal:
            log.warning("%s: %s; retrying with a full resync", self.plane.name, refusal)
            delta = self._apply_what_can_be(state)
        self._known, self._before, self._forgotten = state, None, None
        return delta

    def _apply_what_can_be(self, state: NodeState) -> Delta[K, V]:
        """Make the dataplane hold *state*; ObjectsRefused names the refused objects."""
        self.prepare(state.base)
        delta = self.plan(state)
        try:
            if delta:
                self.plane.write(state.base, delta)
        except ObjectsRefused as refused:
            raise ObjectsRefused(self._by_subject(state, refused.reasons)) from None
        except ChangeRejected:
            self._write_apart(state)
        return delta

    def _write_apart(self, state: NodeState) -> None:
        base = state.base
        there = self.plane.read(base)
        changes = changes_by_part(partial(self.plane.render, base), there, state, self._before)
        rejected = write_apart(partial(self.plane.write, base), changes)
        if reasons := {subject: f"{subject}: {reason}" for subject, reason in rejected}:
            raise ObjectsRefused(reasons)

    def _by_subject(
        self, state: NodeState, reasons: Mapping[Hashable, str]
    ) -> Mapping[Hashable, str]:
        """Return the first reason of each service or node that has an object of *reasons*.

        Objects of the base, such as routes to other nodes, and of no part have a reason each.
        """
        left, found = dict(reasons), dict[Hashable, str]()
        for part in state.parts:
            if isinstance(part, NodeBase):
                continue
            own = [key for key in self.plane.render(state.base, part) if key in left]
            if own:
                subject = subject_of(part)
                found[subject] = f"{subject}: {left[own[0]]}"
                left = {key: reason for key, reason in left.items() if key not in own}
            if not left:
                break
        return {**found, **left}

    def plan(self, state: NodeState, extent: Extent = ALL) -> Delta[K, V]:
        """Return the change that `apply` would make. It changes nothing on the node."""
        known = self._known
        if known is None or not self._is_known(state.base):
            return diff(self.plane.read(state.base), Union(self._rendered(state)))
        keys = known.keys | state.keys if isinstance(extent, All) else extent.keys(())
        return combine(self._differences(known, state, keys))

    def _is_known(self, base: NodeBase) -> bool:
        """Return whether the dataplane's content is remembered, and is also valid with *base*."""
        known = self._known
        return known is not None and (
            known.base is base or self.plane.context(known.base) == self.plane.context(base)
        )

    def _rendered(self, state: NodeState) -> Iterator[Mapping[K, V]]:
        return (self.plane.render(state.base, part) for part in state.parts)

    def _differences(
        self, old: NodeState, new: NodeState, keys: Collection[PartKey]
    ) -> Iterator[Delta[K, V]]:
        if old.base is not new.base and old.base != new.base:
            yield self._difference(new.base, old.base, new.base)
        for key in keys:
            before, after = old.part(key), new.part(key)
            if before is not after and before != after:
                yield self._difference(new.base, before, after)

    def _difference(self, base: NodeBase, before: Part | None, after: Part | None) -> Delta[K, V]:
        there = self.plane.render(base, before) if before is not None else {}
        wanted = self.plane.render(base, after) if after is not None else {}
        return diff(there, wanted)
