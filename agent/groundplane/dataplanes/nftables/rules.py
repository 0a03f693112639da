"""`Rules`: constant rules in our tables, and the maps that they look up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.nftables.maps import Element, Elements, Map
from groundplane.kernel.tables import Table
from groundplane.project.state import NodeBase, Part


def _none(*_: object) -> tuple[()]:
    return ()


@dataclass(frozen=True, eq=False)
class Rules:
    """A part of a node's ruleset, in tables of its own. All of it but `required` is pure.

    *text* writes tables, maps, chains and rules without the elements that *render* makes, and
    DIGEST in the comment of each table. *constant* names the sets whose elements are in that text.
    """

    tables: Callable[[NodeBase], Sequence[Table]]
    text: Callable[[NodeBase], str]
    maps: Callable[[NodeBase], Sequence[Map]]
    render: Callable[[NodeBase, Part], Elements]
    constant: tuple[str, ...] = ()
    emptied: tuple[str, ...] = ()
    """Sets whose elements must be removed with those of maps when tables are replaced.

    A packet that is traversing the rules then finds their maps empty (Linux 6.9), while a set keeps
    its elements for a moment longer.
    """
    kept: Callable[[NodeBase], Sequence[Map]] = _none
    """The maps that packets write: their elements survive a replacement of the tables."""
    required: Callable[[NodeBase, Delta[Element, bytes]], Sequence[Table]] = _none
    """The tables of other dataplanes that must exist before a change leads packets to them."""


DIGEST = "@digest@"  # stands in a text for the digest of the whole ruleset
RulesOf = Callable[[NodeBase], Sequence[Rules]]
