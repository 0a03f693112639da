"""Dataplanes: each turns the parts of a NodeState into objects of one kind, and writes them.

A dataplane is a folder with one module that is pure (`render`) and one that does the I/O. It
knows no other dataplane. `Dataplane` is the whole of what the reconcile loop knows about it.
"""

from collections.abc import Hashable, Mapping
from typing import Protocol, TypeVar

from groundplane.diff import Delta
from groundplane.project.state import NodeBase, Part

K = TypeVar("K")
V = TypeVar("V")


class Dataplane(Protocol[K, V]):
    """What the reconcile loop needs of a dataplane.

    Law: after `write(base, diff(read(base), wanted))`, `diff(read(base), wanted)` is empty.
    """

    name: str
    patience_s: float  # how long a change that nobody tells of may stay unseen

    def context(self, base: NodeBase) -> Hashable:
        """Return what `read` and the rendering of every other part depend on."""

    def render(self, base: NodeBase, part: Part) -> Mapping[K, V]:
        """Return the objects of *part*; no two parts of one base have one in common. Pure."""

    def read(self, base: NodeBase) -> Mapping[K, V]:
        """Return the objects that are there and ours; none where *base* needs another framework."""

    def prepare(self, base: NodeBase) -> None:
        """Do ahead what takes long and needs no service, where nothing of ours is there yet.

        It may do nothing; `write` makes up for what was not done. GroundplaneError as there.
        """

    def listen(self) -> int | None:
        """Hear of changes from now on; return a descriptor that is readable when there was one.

        None where nobody tells, and only asking `disturbed` now and then does.
        """

    def disturbed(self, base: NodeBase) -> bool:
        """Return whether others may have changed what is ours since we read or wrote it.

        It is asked often, so its answer is cheap; True where only reading would tell. What was
        heard until then is forgotten.
        """

    def settle(self, base: NodeBase) -> None:
        """Do what only time makes due, as often as *patience_s* says. GroundplaneError as in `write`."""

    def culprit(self) -> str:
        """Return which program made the change that `disturbed` saw last, "" when nobody knows."""

    def text(self, key: K, value: V) -> str:
        """Return an object as a person would write it, in one line."""

    def write(self, base: NodeBase, delta: Delta[K, V]) -> None:
        """Make the change: as a whole where what is written knows transactions, always idempotent.

        KernelRefused when it was refused as a whole; ChangeRejected where that is for its content, so
        that a part of it may be accepted; ObjectsRefused where all but some objects was written.
        """

    def close(self) -> None:
        """Let go of sockets; what is written stays."""
