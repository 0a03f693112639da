"""Reads the words of a line: selectors, and the values that a rule compares them with."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from groundplane.kernel.ruleset.selectors import (
    SELECTORS,
    Selector,
    hashed,
    masked,
    random_number,
)

T = TypeVar("T")
# By first word: the phrases that begin with it, as all their words, the longest first.
Phrases = Mapping[str, Sequence[tuple[tuple[str, ...], T]]]


def by_first_word(phrases: Mapping[tuple[str, ...], T]) -> Phrases[T]:
    """Return *phrases* by first word, for `Reader.phrase`."""
    found: dict[str, list[tuple[tuple[str, ...], T]]] = {}
    for words in sorted(phrases, key=len, reverse=True):
        found.setdefault(words[0], []).append((words, phrases[words]))
    return found


_SELECTORS: Final = by_first_word(SELECTORS)


class Reader:
    """The words of a line. ValueError, KeyError or IndexError for an unexpected word."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)
        self._at = 0

    @property
    def left(self) -> tuple[str, ...]:
        """The words that have not been read yet."""
        return self._words[self._at :]

    @property
    def has_ended(self) -> bool:
        return self._at == len(self._words)

    @property
    def next(self) -> str:
        """The next word; it stays unread."""
        return self._words[self._at]

    def take(self, count: int) -> tuple[str, ...]:
        start, self._at = self._at, self._at + count
        if self._at > len(self._words):
            raise IndexError
        return self._words[start : self._at]

    def next_is(self, word: str) -> bool:
        """Take *word* if it comes next; return whether it did."""
        if self._at < len(self._words) and self._words[self._at] == word:
            self._at += 1
            return True
        return False

    def phrase(self, phrases: Phrases[T]) -> tuple[tuple[str, ...], T] | None:
        """Take the longest of *phrases* that comes next; return its words and value, or None."""
        for words, found in phrases.get(self._words[self._at], ()):
            end = self._at + len(words)
            if self._words[self._at : end] == words:
                self._at = end
                return words, found
        return None

    def selectors(self) -> list[Selector]:
        """Read one selector, or a concatenation: several selectors with dots between them."""
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
        found = self.phrase(_SELECTORS)
        if found is None:
            raise KeyError
        return found[1]

    def value(self, selector: Selector) -> bytes:
        """Read a value of the type of *selector*: one word, or several bits in parentheses."""
        if not self.next_is("("):
            return selector.type.parse(self.take(1)[0])
        raw = bytes(selector.type.width)
        while not self.next_is(")"):
            (word,) = self.take(1)
            if word != "|":
                raw = either(raw, selector.type.parse(word))
        return raw


def either(one: bytes, other: bytes) -> bytes:
    """Return the bitwise OR of both."""
    return bytes(a | b for a, b in zip(one, other, strict=True))
