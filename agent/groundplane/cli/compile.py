"""`groundplane compile`: what the agent runs in its limited child."""

import sys
from pathlib import Path

import click

from groundplane.agent.compiler import limit_this_process
from groundplane.cli.arguments import source_argument
from groundplane.pipeline import compile_source


@click.command("compile")
@source_argument
def compile_(source: Path) -> None:
    """Print the catalog in SOURCE as a compiled site, in JSON: what an agent works from.

    Memory and CPU time are limited, since a catalog is input like any other.
    """
    import msgspec

    limit_this_process()
    sys.stdout.buffer.write(msgspec.json.encode(compile_source(source)))
