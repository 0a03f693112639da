"""Reads the words of a line: what a rule reads from packets, and the values it compares that with."""

from collections.abc import Sequence

from groundplane.kernel.ruleset.selectors import (
    LONGEST,
    SELECTORS,
    Selector,
    hashed,
    masked,
    random_number,
)


class Reader:
    """The words of a line that are left. ValueError, KeyError or IndexError where one does not fit."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)

    def take(self, count: int) -> list[str]:
        taken, self.words = self.words[:count], self.words[count:]
        if len(taken) < count:
            raise IndexError
        return taken

    def next_is(self, word: str) -> bool:
        """Take *word* if it comes next; return whether it did."""
        if self.words and self.words[0] == word:
            self.take(1)
            return True
        return False

    def selectors(self) -> list[Selector]:
        """Read selectors with dots between them: a concatenation, or one alone."""
        found = [self.selector()]
        while self.next_is("."):
            found.append(self.selector())
        return found

    def selector(self) -> Selector:
        found = self._plain()
        width = found.type.width
        mask = bits = None
        if self.next_is("&"):
            mask = self.value(found)
        if self.next_is("|"):
            bits = self.value(found)
        if mask is bits is None:
            return found
        bits = bits or bytes(width)
        kept = zip(mask or b"\xff" * width, bits, strict=True)
        return masked(found, bytes(m & ~b for m, b in kept), bits)

    def _plain(self) -> Selector:
        if self.next_is("numgen"):
            _, _, modulus = self.take(3)  # random mod N
            return random_number(int(modulus, 0))
        if self.next_is("jhash"):
            source = self._plain()
            _, modulus, _, seed = self.take(4)  # mod N seed N
            return hashed(source, int(modulus, 0), int(seed, 0))
        for length in range(min(LONGEST, len(self.words)), 0, -1):
            found = SELECTORS.get(tuple(self.words[:length]))
            if found is not None:
                self.take(length)
                return found
        raise KeyError

    def value(self, selector: Selector) -> bytes:
        """Read a value of what *selector* reads: one, or those of several bits."""
        if not self.next_is("("):
            return selector.type.parse(self.take(1)[0])
        raw = bytes(selector.type.width)
        while not self.next_is(")"):
            (word,) = self.take(1)
            if word != "|":
                raw = either(raw, selector.type.parse(word))
        return raw


def either(one: bytes, other: bytes) -> bytes:
    """Return the bits of both."""
    return bytes(a | b for a, b in zip(one, other, strict=True))
