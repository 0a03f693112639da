"""Files of a source that are not for groundplane: patterns in `.groundplaneignore`. Pure.

The rules are those of gitignore(5), for such files in any folder of the source.
"""

import re
from typing import Final, NamedTuple

IGNORE_FILE: Final = ".groundplaneignore"
HINT: Final = f"a file that is not for groundplane can be named in {IGNORE_FILE}"

_NO_PATTERN: Final = "gitignore(5) has no such pattern"
_STARS: Final = re.compile(r"\*+")
# Matches folders below a folder, not that folder itself; pathspec also matches the folder.
_FOLDERS_BELOW: Final = re.compile(r"(^|[/!])\*\*/ *$")
_FOLDER_END: Final = "ps_d"  # pathspec's name of the group that matches a folder's last slash
_MAX_STARS: Final = 3  # each more multiplies the time to match by the length of a name


class PatternError(Exception):
    """A line cannot be a pattern; *line* counts from 1."""

    def __init__(self, line: int, text: str, reason: str) -> None:
        super().__init__(f"{text}: {reason}")
        self.line = line


class _Pattern(NamedTuple):
    """A pattern of pathspec; its *regex* also matches everything below a folder it names.

    *below*: the pattern names what is below a folder, not the folder itself.
    """

    regex: re.Pattern[str]
    hides: bool
    below: bool

    def matches(self, path: str) -> bool:
        """Return whether the pattern names *path* itself, not just a folder that contains it."""
        return any(self._is_whole(found, path) for found in self.regex.finditer(path))

    def _is_whole(self, found: re.Match[str], path: str) -> bool:
        if found.groupdict().get(_FOLDER_END):
            return found.end(_FOLDER_END) == len(path)
        return not self.below or found.end() < len(path)


class Ignore:
    """The patterns of a source. Paths are relative to it, with "/" between their parts.

    A folder's path ends with "/"; the source itself is "".
    """

    def __init__(self) -> None:
        self.size = 0  # the number of patterns
        self._patterns: dict[str, list[_Pattern]] = {}

    def add(self, folder: str, text: str) -> None:
        """Take the patterns in *text*, the ignore file of *folder*; PatternError names a bad line."""
        found = self._patterns[folder] = _patterns(text)
        self.size += len(found)

    def hides(self, path: str) -> bool:
        """Return whether *path*, or a folder that contains it, is hidden.

        Files in a hidden folder stay hidden, whatever other patterns say.
        """
        if not self._patterns:
            return False
        ends = [index + 1 for index, each in enumerate(path[:-1]) if each == "/"]
        return any(self._names(path[:end]) for end in (*ends, len(path)))

    def _names(self, path: str) -> bool:
        """Return whether the last pattern that matches *path* hides it: deeper files come last."""
        end = len(path)
        while end:
            end = path.rfind("/", 0, end - 1) + 1
            if patterns := self._patterns.get(path[:end]):
                for pattern in reversed(patterns):
                    if pattern.matches(path[end:]):
                        return pattern.hides
        return False


def _patterns(text: str) -> list[_Pattern]:
    # Imported only if a source has such a file: the import would slow down every command.
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    found = []
    for number, ended in enumerate(text.split("\n"), start=1):
        line = ended.removesuffix("\r")
        if not line.strip() or line.startswith("#"):
            continue
        if any(len(_STARS.findall(part)) > _MAX_STARS for part in line.split("/")):
            raise PatternError(number, line, f"a part of a pattern has at most {_MAX_STARS} *")
        try:
            made = GitIgnoreSpecPattern(_FOLDERS_BELOW.sub(r"\1**/*/", line))
        except (ValueError, re.error):
            raise PatternError(number, line, _NO_PATTERN) from None
        if made.include is None or made.regex is None:
            raise PatternError(number, line, _NO_PATTERN)
        below = line.rstrip(" ").endswith("/**")
        found.append(_Pattern(made.regex, hides=made.include, below=below))
    return found
