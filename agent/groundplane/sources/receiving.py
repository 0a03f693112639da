"""Reads a push to a repository on this machine, for the hook that accepts or refuses it.

git keeps pushed objects apart until its hooks accept them ("quarantine", githooks(5)): its variables
say where.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from groundplane.errors import SourceError
from groundplane.sources.export import export_tree
from groundplane.sources.git_command import Git, isolated
from groundplane.sources.trust import NOBODY

_QUARANTINE: Final = (
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
)


class Update(NamedTuple):
    """A ref that is to change; *old* is "" for a new one, *new* for one that is to go."""

    old: str
    new: str
    ref: str


def updates(lines: Iterable[str]) -> list[Update]:
    """Return what a pre-receive hook is told on its standard input; SourceError for anything else."""
    found = []
    for line in lines:
        words = line.rstrip("\n").split(" ", 2)
        if len(words) != 3:
            raise SourceError('git tells a pre-receive hook "OLD NEW REF" in each line')
        old, new, ref = words
        found.append(Update(_commit(old), _commit(new), ref))
    return found


def _commit(identity: str) -> str:
    return identity if identity.strip("0") else ""


def push_options() -> list[str]:
    """Return the options of the push: `git push -o OPTION` (githooks(5))."""
    count = int(os.environ.get("GIT_PUSH_OPTION_COUNT", "0"))
    return [os.environ[f"GIT_PUSH_OPTION_{number}"] for number in range(count)]


def export_commit(repository: Path, commit: str, path: str, into: Path) -> None:
    """Write the catalog in the directory *path* of *commit* into the new directory *into*.

    Raises Unfit where no agent would take it, SourceError when git fails.
    """
    environment = isolated() | {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.bigFileThreshold",
        "GIT_CONFIG_VALUE_0": "16m",
    }
    for name in _QUARANTINE:
        if value := os.environ.get(name):
            environment[name] = value
    none = f"there is no directory {path}"
    explained = {"Not a valid object": none, "not a tree object": none}
    git = Git(commit[:12], environment, into.parent, NOBODY.max_bytes, explained)
    export_tree(git, repository.absolute(), f"{commit}:{path}", into)
