"""Run a command and explain its failure."""

import os
import subprocess
from collections.abc import Mapping, Sequence


class ProcessFailed(Exception):
    """A command could not be started, or said no; the text names it and its last words."""


def run(argv: Sequence[str], *, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return what it printed."""
    done = attempt(argv, stdin=stdin, env=env)
    if done.returncode != 0:
        raise ProcessFailed(f"{' '.join(argv)}: exit {done.returncode}: {explain(done)}")
    return done.stdout


def attempt(
    argv: Sequence[str], *, stdin: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that may fail."""
    try:
        return subprocess.run(
            list(argv),
            input=stdin,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise ProcessFailed(f"{argv[0]}: {error.strerror}") from error


def explain(done: subprocess.CompletedProcess[str]) -> str:
    """The last thing a failed command said, on one line."""
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
