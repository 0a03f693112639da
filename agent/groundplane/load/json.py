"""Concatenated JSON documents, as kubectl reads them (k8s.io/apimachinery, YAMLOrJSONDecoder).

YAML parsers read most of JSON, but neither several documents without `---` nor characters escaped
as surrogate pairs (RFC 8259, section 7).
"""

import json
import re
from collections import Counter
from typing import Any, Final, NoReturn

from groundplane.load.yaml import Text

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class JsonError(Exception):
    """The text is not JSON; *line* (from 1) is where it stops being valid."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def documents(text: str) -> list[tuple[Text, object]]:
    """Return the documents of *text*, each with its value; JsonError if *text* is not JSON."""
    found: list[tuple[Text, object]] = []
    at, line, seen = _start(text, 0), 1, 0
    while at < len(text):
        line += text.count("\n", seen, at)
        try:
            value, end = _DECODER.raw_decode(text, at)
            body = text[at:end]
            if _SURROGATE.search(body):
                json.dumps(value, ensure_ascii=False).encode()
        except json.JSONDecodeError as error:
            raise JsonError(error.msg[:1].lower() + error.msg[1:], error.lineno) from None
        except UnicodeEncodeError:
            raise JsonError("half of a character (a surrogate without the other)", line) from None
        except RecursionError:
            raise JsonError("nested too deep; make it flatter", line) from None
        except ValueError as error:
            raise JsonError(str(error), line) from None
        found.append((Text(line, body), value))
        seen, at = at, _start(text, end)
    return found


def _start(text: str, at: int) -> int:
    """Return the position of the first non-whitespace character from *at*."""
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the mapping of *pairs*; ValueError for a duplicate key."""
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f'duplicate key "{next(name for name in counts if counts[name] > 1)}"')
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number in JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_mapping, parse_constant=_no_number)
