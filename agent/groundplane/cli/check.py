"""`groundplane check`."""

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from groundplane.allocate import require_current
from groundplane.check import answer_warnings, unowned_endpoints, warnings
from groundplane.cli.arguments import bounded, source_argument
from groundplane.compile.pipeline import allocate_source, compile_catalog, read_catalog
from groundplane.documents import dns
from groundplane.documents.catalog import Catalog
from groundplane.errors import CatalogError, LockOutdated
from groundplane.load import IGNORE_FILE, place
from groundplane.site import compiled

_SHOWN: Final = 10  # files that are ignored


@click.command()
@source_argument
@click.option("--strict", is_flag=True, help="Treat warnings and skipped documents as errors.")
@click.option(
    "--allow-skipped", is_flag=True, help="With --strict: accept documents that are skipped."
)
@bounded
def check(source: Path, *, strict: bool, allow_skipped: bool) -> int:
    """Say everything that is wrong with the catalog in SOURCE, each fault as `file:line: ...`.

    Nothing is changed. Exit status 0 when it can be applied, 1 when it has a fault. Files that
    .groundplaneignore names are not read: its patterns are those of gitignore(5).
    """
    found = examine(source)
    if found is None:
        return 1
    refused = found.refused(allow_skipped=allow_skipped) if strict else ""
    verdict = f"not accepted with --strict: {refused}" if refused else "good"
    click.echo(f"{source}: {found.counts}: {verdict}", err=True)
    return 1 if refused else 0


@dataclass(frozen=True)
class Examined:
    """A catalog without a fault: its compiled *site*, and whether its lock is up to date."""

    catalog: Catalog
    site: compiled.Site
    warned: int  # how many warnings it has
    lock_outdated: str  # why the lock is not up to date, "" where it is

    @property
    def counts(self) -> str:
        found = self.catalog
        counted = (found.nodes, "node"), (found.services, "service"), (found.workloads, "workload")
        return ", ".join(_counted(things, name) for things, name in counted)

    def refused(self, *, allow_skipped: bool) -> str:
        """Return what --strict does not accept, "" for nothing."""
        found = []
        if self.warned:
            found.append(_counted(range(self.warned), "warning"))
        if self.catalog.notices:
            found.append("files that are not read")
        if self.catalog.skipped and not allow_skipped:
            found.append("skipped documents (--allow-skipped accepts these)")
        return ", ".join(found)


def examine(source: Path) -> Examined | None:
    """Print everything that is wrong with the catalog in *source*; return None if it has a fault."""
    try:
        catalog = read_catalog(source)
        allocations, lock = allocate_source(source, catalog)
        site = compile_catalog(catalog, allocations)
    except CatalogError as error:
        click.echo(str(error))
        click.echo(f"{source}: {error.count}", err=True)
        return None
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
    outdated = ""
    try:
        require_current(allocations, lock)
    except LockOutdated as error:
        outdated = str(error)
        click.echo(f"{source}: note: {error}")
    return Examined(catalog, site, len(found) + more, outdated)


def _ignored(paths: Sequence[str]) -> Iterator[str]:
    """Yield what to say of the files and folders that are ignored, as far as they fit a line."""
    if paths:
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        yield f"{IGNORE_FILE} hides {', '.join(paths[:_SHOWN])}{more}"


def _counted(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
