"""Line numbers of paths in a document, looked up only after an error."""

import re
from functools import lru_cache
from itertools import pairwise
from typing import Final

import yaml

from groundplane.documents.path import join, steps

_MAX_COMPOSED: Final = 16 << 20  # characters: composing takes a second and 25 MB for one million
_ITEMS: Final = re.compile(
    r"^items:[ \t]*(?:#.*)?\n(?:[ \t]*(?:#.*)?\n)*( *)-(?=[ \n])", re.MULTILINE
)


@lru_cache(maxsize=2)  # errors come in document order, often many of one document and one item
def _compose(text: str) -> yaml.Node | None:
    if len(text) > _MAX_COMPOSED:
        return None
    try:
        return yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return None


@lru_cache(maxsize=1)
def _items(text: str) -> list[tuple[int, int, int]]:
    """Return line, start and end of each item of a List that is written as kubectl prints it.

    A List has megabytes; composing a single item is fast.
    """
    head = _ITEMS.search(text)
    if head is None:
        return []
    item = re.compile(rf"^{head[1]}-(?=[ \n])|^(?! |-|#|\n)", re.MULTILINE)
    starts = [match.start() for match in item.finditer(text, head.start(1))]
    found, line, seen = [], 0, 0
    for start, end in pairwise([*starts, len(text)]):
        if text[start : start + len(head[1]) + 1] != f"{head[1]}-":
            break  # the next field of the List
        line += text.count("\n", seen, start)
        found.append((line, start, end))
        seen = start
    return found


def _within(text: str, path: str) -> tuple[int, str, list[str | int]]:
    """Return line and text of the part of a document with *path*, and the steps from there."""
    found = list(steps(path))
    if found[:1] == ["items"] and len(found) > 1 and isinstance(found[1], int):
        items = _items(text)
        if found[1] < len(items):
            line, start, end = items[found[1]]
            item = text[start:end].replace("-", " ", 1)
            if _compose(item) is not None:  # None if an alias leads out of the item
                return line, item, found[2:]
    return 0, text, found


def line_of(text: str, path: str) -> int:
    """Return the line (from 0) of *path* in *text*, or of the deepest part of it that exists."""
    first, text, remaining = _within(text, path)
    node, line = _compose(text), 0
    for step in remaining:
        if isinstance(node, yaml.MappingNode):
            found = next((kv for kv in node.value if kv[0].value == step), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and step in range(len(node.value)):
            node = node.value[int(step)]
            line = node.start_mark.line
        else:
            break
    return first + line


def scalar_at(text: str, path: str) -> str:
    """Return the scalar at *path* as written in *text*, or "" if there is none."""
    _, text, remaining = _within(text, path)
    node = _compose(text)
    for step in remaining:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and step in range(len(node.value)):
            node = node.value[int(step)]
        else:
            return ""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def key_that_is_none(text: str) -> int:
    """Return the line (from 0) of the first key that is a mapping or a list, 0 without any."""
    nodes = [found] if (found := _compose(text)) else []
    visited: set[int] = set()
    while nodes:
        node = nodes.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += reversed(node.value)
        elif isinstance(node, yaml.MappingNode):
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    return int(key.start_mark.line)
            nodes += (value for _, value in reversed(node.value))
    return 0


def duplicate_keys(text: str) -> list[tuple[int, str, str]]:
    """Return line (from 0), path and name of each key that its mapping already has."""
    found: list[tuple[int, str, str]] = []
    visited: set[int] = set()  # guards against alias bombs, and an alias that contains itself

    def visit(node: yaml.Node | None, path: str) -> None:
        if id(node) in visited:
            return
        visited.add(id(node))
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                if name in seen:
                    found.append((key.start_mark.line, path, name))
                seen.add(name)
                visit(value, join(path, name))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                visit(value, join(path, index))

    visit(_compose(text), "")
    return found
