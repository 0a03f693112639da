"""A dataplane that holds its objects in memory, for tests of code that applies states.

It is as strict as a kernel: a created object must not exist; a changed or deleted one must.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

from groundplane.dataplanes import Drift
from groundplane.dataplanes.diff import Delta, patch
from groundplane.errors import ChangeRejected
from groundplane.project.state import NodeBase, Part

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class InMemory(Generic[K, V]):
    """Implements `Dataplane` and `Watching`.

    A test may change *there* as other programs do. Each write raises *fails*; a write with any of
    *rejects* is rejected for its content. *calls* has the name of each call in order.
    """

    resync_interval_s = 10.0

    def __init__(
        self,
        name: str,
        render: Callable[[NodeBase, Part], Mapping[K, V]],
        context: Callable[[NodeBase], Hashable] = lambda _base: None,
    ) -> None:
        self.name = name
        self.there: dict[K, V] = {}
        self.fails: Exception | None = None
        self.rejects: set[K] = set()
        self.calls: list[str] = []
        self._render, self._context = render, context
        self._written: Mapping[K, V] = {}
        self._written_for: Hashable = None  # the context

    @property
    def tries(self) -> int:
        """The number of writes."""
        return self.calls.count("write")

    @property
    def writes(self) -> int:
        """The number of writes that did not fail."""
        return self.calls.count("written")

    def context(self, base: NodeBase) -> Hashable:
        return self._context(base)

    def render(self, base: NodeBase, part: Part) -> Mapping[K, V]:
        return self._render(base, part)

    def read(self, base: NodeBase) -> Mapping[K, V]:
        """Return the objects; none if they were written for another context."""
        self.calls.append("read")
        return dict(self.there) if self._written_for == self.context(base) else {}

    def text(self, key: K, value: V) -> str:
        return f"{key} {value}"

    def write(self, base: NodeBase, delta: Delta[K, V]) -> None:
        self.calls.append("write")
        if self.fails is not None:
            raise self.fails
        if bad := self.rejects & {*delta.create, *delta.update}:
            raise ChangeRejected(f"the kernel refused {min(map(str, bad))}")
        there = self.there if self._written_for == self.context(base) else {}
        if twice := delta.create.keys() & there.keys():
            raise ValueError(f"there already: {twice}")
        if missing := (delta.delete.keys() | delta.update.keys()) - there.keys():
            raise ValueError(f"not there: {missing}")
        self.there = patch(there, delta)
        self._written, self._written_for = dict(self.there), self.context(base)
        self.calls.append("written")

    def drift(self, _base: NodeBase) -> Drift | None:
        return Drift() if self.there != self._written else None

    def close(self) -> None:
        pass
