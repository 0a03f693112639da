"""`groundplane check`."""

from collections.abc import Sized
from pathlib import Path

import click

from groundplane.allocate import require_current
from groundplane.check import answer_warnings, unowned_endpoints, warnings
from groundplane.cli.arguments import source_argument
from groundplane.errors import CatalogError, LockOutdated
from groundplane.load import place
from groundplane.model import dns
from groundplane.pipeline import allocate_source, compile_catalog, read_catalog


@click.command()
@source_argument
@click.option("--strict", is_flag=True, help="Take warnings and skipped documents for errors.")
def check(source: Path, *, strict: bool) -> int:
    """Say everything that is wrong with the catalog in SOURCE, each fault as `file:line: ...`.

    Nothing is changed. Exit status 0 when it can be applied, 1 when it has a fault.
    """
    try:
        catalog = read_catalog(source)
        allocations, lock = allocate_source(source, catalog)
        site = compile_catalog(catalog, allocations)
    except CatalogError as error:
        click.echo(str(error))
        click.echo(f"{source}: {error.count}", err=True)
        return 1
    found, more = place(
        [
            *warnings(catalog),
            *unowned_endpoints(catalog, allocations.owned),
            *answer_warnings(catalog, site),
        ]
    )
    for warning in found:
        click.echo(str(warning).replace(": ", ": warning: ", 1))
    if more:
        click.echo(f"{source}: and {more} more warnings")
    for text in sorted({*dns.wanted_addresses(catalog.cluster)} - {*allocations.dns}):
        click.echo(
            f"{source}: note: {text}, which the site's DNS service would have, is a service's: "
            "name another in spec.dns.clusterIPs of the Cluster, or [] for none"
        )
    for notice in catalog.notices:
        click.echo(f"{source}: note: {notice}")
    try:
        require_current(allocations, lock)
    except LockOutdated as error:
        click.echo(f"{source}: note: {error}")
    counts = (
        f"{_counted(catalog.nodes, 'node')}, {_counted(catalog.services, 'service')}, "
        f"{_counted(catalog.workloads, 'workload')}"
    )
    if strict and (found or catalog.notices):
        click.echo(f"{source}: {counts}: not accepted with --strict", err=True)
        return 1
    click.echo(f"{source}: {counts}: good", err=True)
    return 0


def _counted(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
