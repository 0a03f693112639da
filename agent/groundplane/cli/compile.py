"""`groundplane compile`: what the agent runs in its limited child."""

import sys
from pathlib import Path

import click

from groundplane.cli.arguments import source_argument
from groundplane.compile.pipeline import compile_source
from groundplane.errors import GroundplaneError, LimitReached
from groundplane.processes.limits import doing, limit_this_process, out_of_memory


@click.command("compile")
@source_argument
def compile_(source: Path) -> int:
    """Print the catalog in SOURCE as a compiled site: what an agent works from, in lines of JSON.

    Memory and CPU time are limited, since a catalog is input like any other.
    """
    from groundplane.site.encoding import encode

    limit_this_process()
    try:
        site = compile_source(source)
        doing("writing the compiled site")
        encoded = encode(site)
    except LimitReached as error:
        click.echo(f"{source}: {error}", err=True)
        return 1
    except GroundplaneError as error:
        click.echo(str(error), err=True)  # the faults and nothing else: the agent shows them on
        return 1
    except MemoryError:
        click.echo(f"{source}: {out_of_memory()}", err=True)
        return 1
    sys.stdout.buffer.write(encoded)
    return 0
