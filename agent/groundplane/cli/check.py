"""`groundplane check`."""

from collections.abc import Iterator, Sequence, Sized
from pathlib import Path
from typing import Final

import click

from groundplane.allocate import require_current
from groundplane.check import answer_warnings, unowned_endpoints, warnings
from groundplane.cli.arguments import source_argument
from groundplane.errors import CatalogError, LockOutdated
from groundplane.load import IGNORE_FILE, place
from groundplane.model import dns
from groundplane.model.catalog import Catalog
from groundplane.pipeline import allocate_source, compile_catalog, read_catalog

_SHOWN: Final = 10  # files that are ignored


@click.command()
@source_argument
@click.option("--strict", is_flag=True, help="Take warnings and skipped documents for errors.")
@click.option(
    "--allow-skipped", is_flag=True, help="With --strict: skipped documents are no errors."
)
def check(source: Path, *, strict: bool, allow_skipped: bool) -> int:
    """Say everything that is wrong with the catalog in SOURCE, each fault as `file:line: ...`.

    Nothing is changed. Exit status 0 when it can be applied, 1 when it has a fault. Files that
    .groundplaneignore names are not read: its patterns are those of gitignore(5).
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
    for notice in (*catalog.notices, *catalog.skipped, *_ignored(catalog.ignored)):
        click.echo(f"{source}: note: {notice}")
    try:
        require_current(allocations, lock)
    except LockOutdated as error:
        click.echo(f"{source}: note: {error}")
    counts = (
        f"{_counted(catalog.nodes, 'node')}, {_counted(catalog.services, 'service')}, "
        f"{_counted(catalog.workloads, 'workload')}"
    )
    if (
        refused := _refused(len(found) + more, catalog, allow_skipped=allow_skipped)
        if strict
        else ""
    ):
        click.echo(f"{source}: {counts}: not accepted with --strict: {refused}", err=True)
        return 1
    click.echo(f"{source}: {counts}: good", err=True)
    return 0


def _ignored(paths: Sequence[str]) -> Iterator[str]:
    """Yield what to say of the files and folders that are ignored, as far as they fit a line."""
    if paths:
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        yield f"{IGNORE_FILE} hides {', '.join(paths[:_SHOWN])}{more}"


def _refused(warned: int, catalog: Catalog, *, allow_skipped: bool) -> str:
    """Return what --strict does not accept, "" for nothing."""
    found = []
    if warned:
        found.append(f"{warned} warning{'' if warned == 1 else 's'}")
    if catalog.notices:
        found.append("files that are not read")
    if catalog.skipped and not allow_skipped:
        found.append("skipped documents (--allow-skipped accepts these)")
    return ", ".join(found)


def _counted(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
