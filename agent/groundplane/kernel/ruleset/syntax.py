"""Parses a ruleset into declarations. Rules stay lines of words: rules.py compiles them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from groundplane.errors import GroundplaneError

_WORD: Final = re.compile(r'"[^"]*"|@th,\d+,\d+|[{}();,]|[^\s{}();,]+')


class RulesetError(GroundplaneError):
    """The text uses unsupported parts of nft's language: an error of its template."""


@dataclass(frozen=True)
class Line:
    """A line's number and words; quoted strings keep their quotes."""

    number: int
    words: tuple[str, ...]

    def error(self, what: str) -> RulesetError:
        return RulesetError(f"line {self.number}: {what}: {' '.join(self.words)}")


@dataclass(frozen=True)
class HookDeclaration:
    """A base chain's type ("filter", "nat" or "route"), and hook and priority by nft's names."""

    type: str
    hook: str
    priority: str


@dataclass
class ChainDeclaration:
    name: str
    hook: HookDeclaration | None = None
    rules: list[Line] = field(default_factory=list)


@dataclass
class Set:
    """A set, or a map; *data* are the words of the type of a map's data, empty for a set."""

    name: str
    line: Line
    key: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    size: int = 0
    flags: tuple[str, ...] = ()
    timeout: str = ""
    auto_merge: bool = False
    elements: list[tuple[str, ...]] = field(default_factory=list)


@dataclass
class TableDeclaration:
    family: str
    name: str
    comment: str = ""
    sets: list[Set] = field(default_factory=list)
    chains: list[ChainDeclaration] = field(default_factory=list)


@dataclass(frozen=True)
class ElementsDeclaration:
    """Elements for a set of a table that was declared earlier."""

    family: str
    table: str
    set: str
    line: Line
    elements: list[tuple[str, ...]]


Declaration = TableDeclaration | ElementsDeclaration


def parse(text: str) -> Iterator[Declaration]:
    """Yield the declarations of *text* in its order. Raises RulesetError with the line's number."""
    lines = _lines(text)
    for line in lines:
        match line.words:
            case ("table", family, name, "{"):
                yield _table(TableDeclaration(family, name), lines)
            case ("add", "element", family, table, name, "{", *rest) if rest and rest[-1] == "}":
                yield ElementsDeclaration(family, table, name, line, split(tuple(rest[:-1]), ","))
            case _:
                raise line.error("not a declaration")


def _lines(text: str) -> Iterator[Line]:
    for number, line in enumerate(text.splitlines(), start=1):
        words = tuple(_WORD.findall(line))
        if words and not words[0].startswith("#"):
            yield Line(number, words)


def _table(table: TableDeclaration, lines: Iterator[Line]) -> TableDeclaration:
    for line in lines:
        match line.words:
            case ("}",):
                return table
            case ("comment", comment):
                table.comment = comment.strip('"')
            case ("set" | "map" as kind, name, "{", *rest) if rest and rest[-1] == "}":
                table.sets.append(_set(kind, name, line, tuple(rest[:-1])))
            case ("chain", name, "{"):
                table.chains.append(_chain(ChainDeclaration(name), lines))
            case _:
                raise line.error("not of a table")
    raise RulesetError(f"table {table.name} does not end")


def _chain(chain: ChainDeclaration, lines: Iterator[Line]) -> ChainDeclaration:
    for line in lines:
        match line.words:
            case ("}",):
                return chain
            case ("type", type_, "hook", hook, "priority", priority):
                chain.hook = HookDeclaration(type_, hook, priority)
            case _:
                chain.rules.append(line)
    raise RulesetError(f"chain {chain.name} does not end")


def _set(kind: str, name: str, line: Line, words: tuple[str, ...]) -> Set:
    found = Set(name, line)
    for part in split(words, ";"):
        match part:
            case ("typeof", *what):
                key, *data = split(tuple(what), ":")
                found.key, found.data = key, data[0] if data else ()
            case ("size", size):
                found.size = int(size)
            case ("flags", *flags):
                found.flags = tuple(each for each in flags if each != ",")
            case ("timeout", timeout):
                found.timeout = timeout
            case ("auto-merge",):
                found.auto_merge = True
            case ("elements", "=", "{", *elements, "}"):
                found.elements = split(tuple(elements), ",")
            case _:
                raise line.error(f"not of a set: {' '.join(part)}")
    if bool(found.data) != (kind == "map"):
        raise line.error("a map has data, and a set has none")
    return found


def split(words: tuple[str, ...], separator: str) -> list[tuple[str, ...]]:
    """Return the non-empty runs of *words* between separators outside braces and parentheses."""
    runs: list[list[str]] = [[]]
    depth = 0
    for word in words:
        depth += (word in "{(") - (word in "})")
        if word == separator and not depth:
            runs.append([])
        else:
            runs[-1].append(word)
    return [tuple(run) for run in runs if run]


def milliseconds(text: str) -> int:
    """Return the milliseconds of a time such as 3h or 60s."""
    units = {"s": 1000, "m": 60_000, "h": 3_600_000}
    try:
        return int(text[:-1]) * units[text[-1]]
    except (ValueError, KeyError):
        raise RulesetError(f"not a time: {text}") from None
