"""Dataplanes: each turns the parts of a NodeState into objects of one kind, and writes them.

A dataplane is a folder with one module that is pure (`render`) and one that does the I/O. It
knows no other dataplane. A plan and a change need only `Dataplane`. The other protocols here are
optional: a dataplane that does not implement one has none of its methods.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from groundplane.dataplanes.diff import Delta
from groundplane.project.state import NodeBase, Part

K = TypeVar("K")
V = TypeVar("V")


class Dataplane(Protocol[K, V]):
    """The objects of one kind on the node.

    Law: after `write(base, diff(read(base), wanted))`, `diff(read(base), wanted)` is empty.
    """

    name: str

    def context(self, base: NodeBase) -> Hashable:
        """Return what `read` and the rendering of every other part depend on."""

    def render(self, base: NodeBase, part: Part) -> Mapping[K, V]:
        """Return the objects of *part*; no two parts of one base have one in common. Pure."""

    def read(self, base: NodeBase) -> Mapping[K, V]:
        """Return our objects on the node; none if *base* needs another framework.

        It changes nothing on the node. KernelRefused if nothing can be read.
        """

    def text(self, key: K, value: V) -> str:
        """Return an object as readable text, in one line."""

    def write(self, base: NodeBase, delta: Delta[K, V]) -> None:
        """Make the change: atomically if the target has transactions, idempotently in any case.

        KernelRefused if the whole change was refused; ChangeRejected if its content was the reason,
        so that a part of it may be accepted; ObjectsRefused if all but some objects were written.
        """

    def close(self) -> None:
        """Close sockets; written objects stay."""


@runtime_checkable
class Preparing(Protocol):
    """A dataplane that needs more than objects, such as tables, timeouts or serials."""

    def prepare(self, base: NodeBase) -> None:
        """Create the prerequisites of `read` and `write`.

        It is called before each `read` that a `write` may follow, and also ahead of the first one,
        while services are still being computed. GroundplaneError as in `write`.
        """

    def unprepared(self, base: NodeBase) -> Sequence[str]:
        """Describe what `prepare` or the first `write` would create besides objects.

        It changes nothing on the node. KernelRefused if that cannot be read.
        """


class Drift(NamedTuple):
    """Others may have changed objects; *changed_by* names the program, "" if unknown."""

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
    """A dataplane that is notified of changes by others."""

    def listen(self) -> int:
        """Start listening; return a descriptor that becomes readable after a change."""


@runtime_checkable
class Collecting(Protocol):
    """A dataplane with work that becomes due by the passing of time."""

    def collect(self, base: NodeBase) -> None:
        """Do due work; called once per resync interval. GroundplaneError as in `write`."""
