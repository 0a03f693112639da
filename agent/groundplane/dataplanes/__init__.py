"""Dataplanes: each turns the parts of a NodeState into objects of one kind, and writes them.

A dataplane is a folder with one module that is pure (`render`) and one that does the I/O. It
knows no other dataplane. `Dataplane` is all that a plan and a change need of it. The other protocols
here are for what only some dataplanes do; one that does not do it has none of their methods.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from groundplane.dataplanes.diff import Delta
from groundplane.project.state import NodeBase, Part

K = TypeVar("K")
V = TypeVar("V")


class Dataplane(Protocol[K, V]):
    """What holds objects of one kind on the node.

    Law: after `write(base, diff(read(base), wanted))`, `diff(read(base), wanted)` is empty.
    """

    name: str

    def context(self, base: NodeBase) -> Hashable:
        """Return what `read` and the rendering of every other part depend on."""

    def render(self, base: NodeBase, part: Part) -> Mapping[K, V]:
        """Return the objects of *part*; no two parts of one base have one in common. Pure."""

    def read(self, base: NodeBase) -> Mapping[K, V]:
        """Return our objects on the node; none if *base* needs another framework.

        It changes nothing on the node. KernelRefused where nothing can be read.
        """

    def text(self, key: K, value: V) -> str:
        """Return an object as a person would write it, in one line."""

    def write(self, base: NodeBase, delta: Delta[K, V]) -> None:
        """Make the change: as a whole where what is written knows transactions, always idempotent.

        KernelRefused when it was refused as a whole; ChangeRejected where that is for its content, so
        that a part of it may be accepted; ObjectsRefused where all but some objects was written.
        """

    def close(self) -> None:
        """Close sockets; what is written stays."""


@runtime_checkable
class Preparing(Protocol):
    """A dataplane that needs more than objects, such as tables, timeouts or serials."""

    def prepare(self, base: NodeBase) -> None:
        """Make what `read` and `write` take for granted.

        It is called before each `read` that a `write` may follow, and also ahead of the first one,
        while services are still being computed. GroundplaneError as in `write`.
        """

    def unprepared(self, base: NodeBase) -> Sequence[str]:
        """Return in words what `prepare` or the first `write` would make besides objects.

        It changes nothing on the node. KernelRefused where that cannot be read.
        """


class Drift(NamedTuple):
    """Others may have changed objects; *changed_by* names the program, "" where nobody knows."""

    changed_by: str = ""


@runtime_checkable
class Watching(Protocol):
    """A dataplane that can tell cheaply whether others have changed its objects."""

    resync_interval_s: float  # the longest time that an unreported change stays unnoticed

    def drift(self, base: NodeBase) -> Drift | None:
        """Return a Drift if others may have changed our objects since we read or wrote them.

        Called often, so it is cheap: it also returns a Drift if only reading could tell. Changes
        reported before the call are then forgotten.
        """


@runtime_checkable
class Notified(Watching, Protocol):
    """A dataplane to which changes of others are reported."""

    def listen(self) -> int:
        """Listen from now on; return a descriptor that is readable when there was a change."""


@runtime_checkable
class Collecting(Protocol):
    """A dataplane with work that becomes due by time alone."""

    def collect(self, base: NodeBase) -> None:
        """Do what is due, once in a resync interval. GroundplaneError as in `write`."""
