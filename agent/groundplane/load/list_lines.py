"""The lines of a List's items, without another parser. Pure."""

import re
from collections.abc import Sequence
from typing import Final

_ITEMS: Final = re.compile(r"items:[ \t]*(?:#.*)?")
_BLANK: Final = re.compile(r"[ \t]*(?:#.*)?")


def item_lines(text: str, count: int) -> Sequence[int]:
    """Return where each of the *count* items of the List *text* begins, in lines from its first one.

    Only items of a block sequence below a top-level `items:` have lines of their own: all their
    dashes stand in one column, and nothing else does (YAML 1.2, 8.2.1: what is inside an item is
    indented further). Empty if the text is written otherwise.
    """
    lines = text.splitlines()
    start = next((n for n, line in enumerate(lines) if _ITEMS.fullmatch(line)), len(lines)) + 1
    while start < len(lines) and _BLANK.fullmatch(lines[start]):
        start += 1
    if start >= len(lines):
        return ()
    indent = lines[start][: len(lines[start]) - len(lines[start].lstrip(" "))]
    dash, other = f"{indent}-", re.compile(rf"{indent}[^\s#-]")
    found = []
    for number, line in enumerate(lines[start:], start):
        if line == dash or line.startswith(f"{dash} "):
            found.append(number)
        elif other.match(line):
            break
    return found if len(found) == count else ()
