"""`groundplane debug`."""

from pathlib import Path

import click

from groundplane.cli import options


@click.group()
def debug() -> None:
    """Troubleshooting tools."""


@debug.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@options.state_directory
@options.runtime_directory
def bundle(file: Path | None, state_directory: Path, runtime_directory: Path) -> None:
    """Collect in FILE (.tar.gz) what a maintainer needs to see of this node. It has no secrets.

    Status and events of the agent, its last site, the rulesets, routes, sysctls and connections
    counted, the journal of its unit, and what `groundplane doctor` says. It names
    your services, nodes and addresses.
    """
    from datetime import UTC, datetime

    from groundplane.atomic import write_atomically
    from groundplane.node.support_bundle import collect, commands_of_a_node, pack

    target = file or Path(f"groundplane-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar.gz")
    found = collect(state_directory, runtime_directory, commands_of_a_node())
    write_atomically(target, pack(found), 0o600)
    for name, content in sorted(found.items()):
        click.echo(f"{len(content):>9}  {name}")
    click.echo(f"{target} is written; look through it before you send it to anyone.")
