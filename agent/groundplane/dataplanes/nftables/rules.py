"""`Rules`: constant rules in tables of ours, and the maps that they look into."""

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
    DIGEST for the comment of each table. *constant* names the sets whose elements are in that text.
    """

    tables: Callable[[NodeBase], Sequence[Table]]
    text: Callable[[NodeBase], str]
    maps: Callable[[NodeBase], Sequence[Map]]
    render: Callable[[NodeBase, Part], Elements]
    constant: tuple[str, ...] = ()
    emptied: tuple[str, ...] = ()
    """Sets whose elements have to go with those of maps when tables are replaced.

    A packet that is in the rules then finds nothing in their maps any more (Linux 6.9), while a set
    has its elements for a moment longer.
    """
    kept: Callable[[NodeBase], Sequence[Map]] = _none
    """The maps that packets write: what is in them outlives a replacement of the tables."""
    required: Callable[[NodeBase, Delta[Element, bytes]], Sequence[Table]] = _none
    """The tables of others that have to be there before a change leads packets to them."""


DIGEST = "@digest@"  # stands in a text for the digest of the whole ruleset
RulesOf = Callable[[NodeBase], Sequence[Rules]]
