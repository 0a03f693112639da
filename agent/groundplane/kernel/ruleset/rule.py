"""A rule being parsed, and the code that its matches and statements share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundplane.kernel.ruleset import expressions
from groundplane.kernel.ruleset.reading import Reader
from groundplane.kernel.ruleset.selectors import Selector


@dataclass(frozen=True)
class Sets:
    """The sets that rules of one table may name.

    *has_port* returns whether the data of a map are an address and a port. *anonymous* declares a
    set of values for a selector, and returns its name and its number in the transaction.
    """

    has_port: Callable[[str], bool]
    anonymous: Callable[[Selector, list[bytes]], tuple[str, int]]


class Rule:
    """The unread words of a rule, and the expressions found so far."""

    def __init__(self, words: Sequence[str], sets: Sets) -> None:
        self.reader = Reader(words)
        self.sets = sets
        self.found: list[bytes] = []

    def load(self, selectors: Sequence[Selector], free: int) -> None:
        word = 0
        for each in selectors:
            self.found += each.load(word, free)
            word += each.type.words

    def map_name(self) -> str:
        (name,) = self.reader.take(1)
        if not name.startswith("@"):
            raise ValueError
        return name[1:]

    def mapped(self) -> str | None:
        """Load selectors; if a map follows, replace them with its data, and return its name."""
        selectors = self.reader.selectors()
        if not self.reader.next_is("map"):
            self.load(selectors, aligned(words_of(selectors)))
            return None
        name = self.map_name()
        self.load(selectors, 4 + words_of(selectors))
        self.found.append(expressions.mapped(0, name))
        return name


def words_of(selectors: Sequence[Selector]) -> int:
    return sum(each.type.words for each in selectors)


def aligned(words: int) -> int:
    """Return *words* rounded up to a word at which a 16-byte register begins."""
    return -(-words // 4) * 4
