"""The only module that calls a YAML parser, so that the parser can be replaced.

ryaml (Rust, YAML 1.2 core schema) is twenty times faster than PyYAML and has none of YAML 1.1's
traps: `NO`, `0644`, `22:22` and a MAC address stay strings, duplicate keys are errors. Documents
too costly for ryaml are rejected before it runs (`cost`). ryaml keeps no positions, so after an
error `positions` asks PyYAML's composer for them.
"""

import re
from typing import NamedTuple

import ryaml

from groundplane.load.cost import CostError, Room, check_cost
from groundplane.load.ignore import IGNORE_FILE

# A document marker at the start of a line ends a document, even in a scalar (YAML 1.2, 9.1.2).
_MARKER = re.compile(r"^(?:---(?=[ \t\r\n]|$)|\.\.\.(?=[ \t\r\n]|$).*\n?)", re.MULTILINE)
_LINE = re.compile(r" at line (\d+) column \d+")
_POSITION = re.compile(r" at position (\d+)")
_CONFLICT = re.compile(r"^(?:<{7}|\|{7}|={7}|>{7})(?: |$)", re.MULTILINE)
_TAB = re.compile(r" *\t")
_TEMPLATE = f"is this a template that is not rendered ({{{{ … }}}})? then name it in {IGNORE_FILE}"
_MAPPING_KEY = f"a mapping or list as a key; {_TEMPLATE}"
_COMMENTS = re.compile(r"\A(?:[ \t]*(?:#.*|%.*)?\r?\n)*[ \t]*(?:#.*)?")


class Text(NamedTuple):
    """The text of one document and the line (from 1) of its file that it starts on."""

    line: int
    text: str


class YamlError(Exception):
    """The text is not YAML; *line* is the line in the file, 0 if the parser reports none."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def split(text: str) -> list[Text]:
    """Return the documents of *text*, without those that hold comments only."""
    documents, start, line = [], 0, 1
    text = text.replace("\n\ufeff", "\n")  # from concatenated files
    marks = [(mark.start(), mark.end()) for mark in _MARKER.finditer(text)]
    for mark_start, mark_end in [*marks, (len(text), len(text))]:
        body = text[start:mark_start]
        inner = body.lstrip("\r\n \t")
        if inner and not (inner[0] in "#%" and _is_blank(body)):
            first = body.rfind("\n", 0, len(body) - len(inner)) + 1
            documents.append(Text(line + body.count("\n", 0, first), body[first:]))
        line += text.count("\n", start, mark_end)
        start = mark_end
    return documents


def _is_blank(body: str) -> bool:
    """Return whether *body* holds comments and directives only."""
    found = _COMMENTS.match(body)
    return found is not None and found.end() >= len(body.rstrip())


def parse(text: str, first: int = 1, room: Room | None = None, *, is_flat: bool = False) -> object:
    """Return the value of one document: dicts, lists, strings, numbers, booleans and None.

    *first* is the line of the file that *text* starts on, *room* the space left for aliases;
    *is_flat* as in `check_cost`.
    """
    try:
        check_cost(text, room or Room(), is_flat=is_flat)
    except CostError as error:
        raise YamlError(str(error), error.line and error.line + first - 1) from None
    try:
        return ryaml.loads(text)
    except (ryaml.InvalidYamlError, ValueError, RecursionError) as error:
        message, line = _explained(text, str(error))
    if "{{" in text and _TEMPLATE not in message:
        message = f"{message}; {_TEMPLATE}"
    message = _LINE.sub(lambda match: f" at line {int(match[1]) + first - 1}", message)
    raise YamlError(message, line and line + first - 1)


def _explained(text: str, message: str) -> tuple[str, int]:
    """Return the error in *text* and its line (from 1), 0 if the parser reports none."""
    if conflict := _CONFLICT.search(text):
        return "a merge conflict is left here; settle it", text.count("\n", 0, conflict.start()) + 1
    if "unhashable" in message:
        return _MAPPING_KEY, 0
    if position := _POSITION.search(message):
        before = text.encode()[: int(position[1])]
        return _POSITION.sub("", message), before.count(b"\n") + 1
    lines = [int(line) for line in _LINE.findall(message)]
    if not lines:
        return message, 0
    line = min(lines[0], text.rstrip().count("\n") + 1)
    if _TAB.match(text.split("\n")[line - 1]):
        return "tab in indentation; use spaces", line
    return _LINE.sub("", message, count=1), line
