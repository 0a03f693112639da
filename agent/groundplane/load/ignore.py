"""Files of a source that are not for groundplane: patterns in `.groundplaneignore`. Pure.

The rules are those of gitignore(5), for such files in any folder of the source.
"""

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE: Final = ".groundplaneignore"
HINT: Final = f"a file that is not for groundplane can be named in {IGNORE_FILE}"

_NO_PATTERN: Final = "gitignore(5) has no such pattern"
_STARS: Final = re.compile(r"\*+")
_MAX_STARS: Final = 3  # each more multiplies the time to match by the length of a name


class PatternError(Exception):
    """A line cannot be a pattern; *line* counts from 1."""

    def __init__(self, line: int, text: str, reason: str) -> None:
        super().__init__(f"{text}: {reason}")
        self.line = line


class Ignore:
    """The patterns of a source. Paths are relative to it, with "/" between their parts.

    A folder's path ends with "/"; the source itself is "".
    """

    def __init__(self) -> None:
        self.size = 0  # the number of patterns
        self._specs: dict[str, GitIgnoreSpec] = {}

    def add(self, folder: str, text: str) -> None:
        """Take the patterns in *text*, the ignore file of *folder*; PatternError names a bad line."""
        spec = self._specs[folder] = _spec(text)
        self.size += len(spec)

    def hides(self, path: str) -> bool:
        """Return whether *path*, or a folder that it is in, is hidden.

        What is in a hidden folder stays hidden, whatever other patterns say.
        """
        if not self._specs:
            return False
        ends = [index + 1 for index, each in enumerate(path[:-1]) if each == "/"]
        return any(self._names(path[:end]) for end in (*ends, len(path)))

    def _names(self, path: str) -> bool:
        """Return whether the last pattern that matches *path* hides it: deeper files come last."""
        end = len(path)
        while end:
            end = path.rfind("/", 0, end - 1) + 1
            if spec := self._specs.get(path[:end]):
                found = spec.check_file(path[end:]).include
                if found is not None:
                    return found
        return False


def _spec(text: str) -> "GitIgnoreSpec":
    # Imported only where a source has such a file: each command would pay for it.
    from pathspec import GitIgnoreSpec
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    patterns = []
    for number, ended in enumerate(text.split("\n"), start=1):
        line = ended.removesuffix("\r")
        if not line.strip() or line.startswith("#"):
            continue
        if any(len(_STARS.findall(part)) > _MAX_STARS for part in line.split("/")):
            raise PatternError(number, line, f"a part of a pattern has at most {_MAX_STARS} *")
        try:
            pattern = GitIgnoreSpecPattern(line)
        except (ValueError, re.error):
            raise PatternError(number, line, _NO_PATTERN) from None
        if pattern.include is None:
            raise PatternError(number, line, _NO_PATTERN)
        patterns.append(pattern)
    return GitIgnoreSpec(patterns)
