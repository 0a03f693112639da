"""Arguments that several commands share."""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from groundplane.processes.limits import limited

F = TypeVar("F", bound=Callable[..., Any])


def default_source() -> Path:
    """Return the source to use if no argument names one."""
    return Path(os.environ.get("GROUNDPLANE_SOURCE", "."))


def bounded(function: F) -> F:
    """Give a command that reads a catalog the memory and CPU limits of an agent's compiler."""

    @wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        with limited():
            return function(*arguments, **options)

    return cast("F", run)


def source_argument(function: F) -> F:
    """Add the optional argument SOURCE."""
    return click.argument(
        "source", required=False, type=click.Path(path_type=Path), default=default_source
    )(function)


def name_and_source(arguments: tuple[str, ...]) -> tuple[str | None, Path]:
    """Return the object's name and the source among *arguments*.

    An argument that is . or .., or that contains a /, is the source.
    """
    sources = [each for each in arguments if each in (".", "..") or "/" in each]
    names = [each for each in arguments if each not in sources]
    if len(sources) > 1 or len(names) > 1:
        raise click.UsageError("at most one NAME and one SOURCE (. or with a /)")
    return (names[0] if names else None), Path(sources[0]) if sources else default_source()


def live_name(arguments: tuple[str, ...], health: Path | None) -> str | None:
    """Return the object's name among *arguments* of a command with --live, which has no SOURCE."""
    if len(arguments) > 1 or any("/" in each or each in (".", "..") for each in arguments):
        raise click.UsageError("--live asks the agent: it takes a NAME, and no SOURCE")
    if health is not None:
        raise click.UsageError("--live asks the agent, and --health a file: use one of them")
    return next(iter(arguments), None)


def failing_workloads(file: Path | None) -> frozenset[tuple[str, str]]:
    """Return the workloads that fail according to the health file *file*; none without a file."""
    from groundplane.sources.health_file import read_health

    return read_health(file) if file else frozenset()
