"""`groundplane compile`: the agent runs it in a child process with limits."""

import sys
from pathlib import Path

import click

from groundplane.cli.arguments import source_argument
from groundplane.compile.cache import open_cache
from groundplane.compile.cached import compile_encoded
from groundplane.errors import GroundplaneError, LimitReached
from groundplane.processes.limits import limit_this_process, out_of_memory


@click.command("compile")
@source_argument
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Keep here what SOURCE came to, so that a change costs what has changed.",
)
@click.option(
    "--cache-key",
    type=click.Path(path_type=Path),
    help="The secret of --cache; made if it is missing. What others put there is not used.",
)
def compile_(source: Path, *, cache: Path | None, cache_key: Path | None) -> int:
    """Print the catalog in SOURCE as a compiled site: what an agent works from, in lines of JSON.

    Memory and CPU time are limited, since a catalog is input like any other.
    """
    limit_this_process()
    try:
        opened = open_cache(cache, cache_key) if cache and cache_key else None
        encoded = compile_encoded(source, opened)
    except LimitReached as error:
        click.echo(f"{source}: {error}", err=True)
        return 1
    except GroundplaneError as error:
        click.echo(str(error), err=True)  # the errors alone: the agent shows them
        return 1
    except MemoryError:
        click.echo(f"{source}: {out_of_memory()}", err=True)
        return 1
    sys.stdout.buffer.write(encoded)
    return 0
