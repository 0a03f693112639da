"""Hints for misspelled names, with a bounded amount of work.

Comparing two names costs the product of their lengths, and each of thousands of wrong names could be
compared with thousands of right ones.
"""

import difflib
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Final

MAX_WORK: Final = 8_000_000  # pairs of characters: three seconds at most
MAX_NAME: Final = 400  # characters: a label with its value has 317 at most
_MAX_AT_ONCE: Final = MAX_WORK // 20  # for one name, so that at least the first errors have hints
_EACH: Final = 200  # for each comparison, however short the names are
_LIST: Final = 8  # for each name that is sorted


@dataclass
class Work:
    """The work left for the hints of a whole catalog."""

    left: int = MAX_WORK

    def take(self, amount: int) -> bool:
        """Use up *amount* if it is left; return whether it was."""
        self.left -= amount
        return self.left >= 0


def nearest(name: str, names: Iterable[str], work: Work | None = None) -> str:
    """Return the one of *names* that *name* was probably meant to be, or "".

    Among very many names, only the alphabetical neighbours of *name* are compared. Once *work* is
    used up, the result is "".
    """
    work = work or Work()
    if work.left <= 0 or not 0 < len(name) <= MAX_NAME:
        return ""
    known = list(names)
    if not work.take(_LIST * len(known)):
        return ""
    lower = {each.lower(): each for each in known if len(each) <= MAX_NAME}
    word = name.lower()
    close = difflib.get_close_matches(word, _compared(word, sorted(lower), work), n=1, cutoff=0.6)
    return lower[close[0]] if close else ""


def _compared(word: str, names: Sequence[str], work: Work) -> Iterator[str]:
    """Yield the neighbours of *word* in the sorted *names*, as far as *work* goes."""
    at, left = bisect(names, word), _MAX_AT_ONCE
    before, after = (names[index] for index in range(at - 1, -1, -1)), iter(names[at:])
    for each in chain.from_iterable(zip_longest(before, after)):
        if each is None:
            continue
        cost = _EACH + len(word) * len(each)
        left -= cost
        if left < 0 or not work.take(cost):
            return
        yield each


def did_you_mean(name: str, names: Iterable[str], work: Work | None = None) -> str:
    """Return `; did you mean "…"?` for the nearest of *names*, or ""."""
    close = nearest(name, names, work)
    return f'; did you mean "{close}"?' if close else ""
