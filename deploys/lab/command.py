"""Run a command and explain its failure. All other modules change the machine through this one."""

import subprocess
import sys
from collections.abc import Mapping, Sequence

from groundplane_deploys import process
from groundplane_deploys.process import explain

__all__ = ["LabError", "attempt", "explain", "run", "say"]


class LabError(Exception):
    """An error for the user of the lab; its text is the whole message."""


def say(text: str) -> None:
    """Write one progress line."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


def run(argv: Sequence[str], *, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return what it printed."""
    try:
        return process.run(argv, stdin=stdin, env=env)
    except process.ProcessFailed as error:
        raise LabError(str(error)) from error


def attempt(
    argv: Sequence[str], *, stdin: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that may fail."""
    try:
        return process.attempt(argv, stdin=stdin, env=env)
    except process.ProcessFailed as error:
        raise LabError(str(error)) from error
