"""Writes a rejected change part by part, so that one bad object does not block the others.

A dataplane with transactions accepts a change as a whole or not at all. The change is split into
changes of single parts; groups of these are halved until only rejected parts are left.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from groundplane.dataplanes.diff import Delta, combine, diff
from groundplane.errors import ChangeRejected
from groundplane.project.state import NodeBase, NodeState, Part, subject_of

K = TypeVar("K")
V = TypeVar("V")

_MOST: Final = 100  # rejected parts: beyond this the whole change counts as the cause


class PartChange(NamedTuple, Generic[K, V]):
    """The change of one part, and the part's readable name."""

    subject: str
    delta: Delta[K, V]


def changes_by_part(
    render: Callable[[Part], Mapping[K, V]],
    there: Mapping[K, V],
    wanted: NodeState,
    known: NodeState | None,
) -> list[PartChange[K, V]]:
    """Return the changes that together turn *there* into *wanted*, one for each part. Pure.

    An undesired object of a part of *known*, the previous state, is deleted in that part's change.
    Objects of no part are deleted first, in a change of their own.
    """
    rendered = [(part, render(part)) for part in wanted.parts]
    every = {key for _, objects in rendered for key in objects}
    left = dict(there)
    found: list[PartChange[K, V]] = []
    for part, objects in rendered:
        before = _before(part, known)
        gone = () if before is None else (key for key in render(before) if key not in every)
        delta = diff({key: left.pop(key) for key in (*objects, *gone) if key in left}, objects)
        if delta:
            found.append(PartChange(subject_of(part), delta))
    if left:
        found.insert(0, PartChange("", Delta(delete=left)))
    return found


def _before(part: Part, known: NodeState | None) -> Part | None:
    if known is None:
        return None
    return known.base if isinstance(part, NodeBase) else known.part(part.key)


def write_apart(
    write: Callable[[Delta[K, V]], None], changes: Sequence[PartChange[K, V]]
) -> Iterator[tuple[str, str]]:
    """Write *changes*; yield subject and reason of each that is rejected.

    Raises ChangeRejected if too many are rejected to blame single parts.
    """
    waiting, rejected = [changes], 0
    while waiting:
        some = waiting.pop()
        try:
            if some:
                write(combine(each.delta for each in some))
        except ChangeRejected as error:
            if len(some) > 1:
                middle = len(some) // 2
                waiting += [some[middle:], some[:middle]]
                continue
            rejected += 1
            if rejected > _MOST:
                raise
            yield some[0].subject, str(error)
