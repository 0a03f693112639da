"""The one door to a YAML parser, so that it can be replaced.

ryaml (Rust, YAML 1.2 core schema) is twenty times faster than PyYAML and has none of YAML 1.1's
traps: `NO`, `0644`, `22:22` and a MAC address stay strings, duplicate keys and alias bombs are
errors. It keeps no positions, so `positions` asks PyYAML's composer for those, after a fault.
"""

import re
from typing import NamedTuple

import ryaml

# A document marker ends a document wherever it starts a line, inside scalars too (YAML 1.2, 9.1.2).
_MARKER = re.compile(r"^(?:---(?=[ \t\r\n]|$)|\.\.\.(?=[ \t\r\n]|$).*\n?)", re.MULTILINE)
_LINE = re.compile(r" at line (\d+) column \d+")
_MAPPING_KEY = "a mapping or list as a key; is this a template that is not rendered ({{ … }})?"
_COMMENTS = re.compile(r"\A(?:[ \t]*(?:#.*|%.*)?\r?\n)*[ \t]*(?:#.*)?")


class Text(NamedTuple):
    """The text of one document and the line (from 1) of its file that it starts on."""

    line: int
    text: str


class YamlError(Exception):
    """The text is no YAML; *line* is that of the file, 0 when the parser has none."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def split(text: str) -> list[Text]:
    """Return the documents of *text*, without those that hold comments only."""
    documents, start, line = [], 0, 1
    marks = [(mark.start(), mark.end()) for mark in _MARKER.finditer(text)]
    for mark_start, mark_end in [*marks, (len(text), len(text))]:
        body = text[start:mark_start]
        blank = _COMMENTS.match(body)
        if blank is None or blank.end() < len(body.rstrip()):
            skipped = len(body) - len(body.lstrip("\r\n \t"))
            first = body[:skipped].rfind("\n") + 1
            documents.append(Text(line + body.count("\n", 0, first), body[first:]))
        line += text.count("\n", start, mark_end)
        start = mark_end
    return documents


def parse(text: str, first: int = 1) -> object:
    """Return the value of one document: dicts, lists, strings, numbers, booleans and None.

    *first* is the line of the file that *text* starts on.
    """
    try:
        return ryaml.loads(text)
    except (ryaml.InvalidYamlError, ValueError, RecursionError) as error:
        message = str(error)
        if "unhashable" in message:
            raise YamlError(_MAPPING_KEY, 0) from None
        lines = [int(line) + first - 1 for line in _LINE.findall(message)]
        message = _LINE.sub("", message, count=1)
        message = _LINE.sub(lambda match: f" at line {int(match[1]) + first - 1}", message)
        last = first + text.rstrip().count("\n")
        raise YamlError(message, min(lines[0], last) if lines else 0) from None
