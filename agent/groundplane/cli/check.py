"""`groundplane check`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from groundplane.allocate import require_current
from groundplane.check import answer_warnings, unowned_endpoints, warnings
from groundplane.cli.arguments import bounded, source_argument
from groundplane.cli.checked import Checked
from groundplane.cli.source_cache import (
    cache_of,
    inputs_of,
    keep_check,
    kept_check,
    reader_of,
)
from groundplane.compile.pipeline import allocate_source, compile_catalog, read_catalog
from groundplane.documents import dns
from groundplane.documents.catalog import Catalog
from groundplane.errors import CatalogError, LockOutdated
from groundplane.load import IGNORE_FILE, ReadFile, place, read_file
from groundplane.site import compiled

_SHOWN: Final = 10  # ignored paths that a note names


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
    found = checked(source)
    for line in found.lines:
        click.echo(line)
    if found.faults:
        click.echo(f"{source}: {found.faults}", err=True)
        return 1
    refused = found.refused(allow_skipped=allow_skipped) if strict else ""
    verdict = f"not accepted with --strict: {refused}" if refused else "good"
    click.echo(f"{source}: {found.counts}: {verdict}", err=True)
    return 1 if refused else 0


def checked(source: Path) -> Checked:
    """Return the result for the catalog in *source*, from the cache if nothing has changed."""
    cache = cache_of(source)
    if cache is None:
        return examine(source)[0]
    before = inputs_of(source)
    kept = kept_check(cache, before)
    if kept is not None:
        return kept
    with reader_of(source) as read:
        found, _ = examine(source, read)
    keep_check(cache, source, before, found)
    return found


def examine(source: Path, read: ReadFile = read_file) -> tuple[Checked, compiled.Site | None]:
    """Check the catalog in *source*. Return the result and the site; the site is None after an error."""
    try:
        catalog = read_catalog(source, read)
        allocations, lock = allocate_source(source, catalog)
        site = compile_catalog(catalog, allocations)
    except CatalogError as error:
        return Checked(tuple(str(error).splitlines()), faults=error.count), None
    found, more = place(
        [
            *warnings(catalog),
            *unowned_endpoints(catalog, allocations.owned),
            *answer_warnings(catalog, site),
        ]
    )
    lines = [str(warning).replace(": ", ": warning: ", 1) for warning in found]
    if more:
        lines.append(f"{source}: and {more} more warnings")
    lines += (
        f"{source}: note: {text}, which the site's DNS service would have, is a service's: "
        "name another in spec.dns.clusterIPs of the Cluster, or [] for none"
        for text in sorted({*dns.wanted_addresses(catalog.cluster)} - {*allocations.dns})
    )
    notices = (*catalog.notices, *catalog.skipped, *_ignored(catalog.ignored))
    lines += [f"{source}: note: {notice}" for notice in notices]
    outdated = ""
    try:
        require_current(allocations, lock)
    except LockOutdated as error:
        outdated = str(error)
        lines.append(f"{source}: note: {error}")
    done = Checked(
        tuple(lines),
        counts=_counts(catalog),
        warned=len(found) + more,
        lock_outdated=outdated,
        has_notices=bool(catalog.notices),
        has_skipped=bool(catalog.skipped),
    )
    return done, site


def _counts(catalog: Catalog) -> str:
    counted = (
        (catalog.nodes, "node"),
        (catalog.services, "service"),
        (catalog.workloads, "workload"),
    )
    return ", ".join(_counted(len(things), name) for things, name in counted)


def _ignored(paths: Sequence[str]) -> Iterator[str]:
    """Yield one note that names the first ignored files and folders, if there are any."""
    if paths:
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        yield f"{IGNORE_FILE} hides {', '.join(paths[:_SHOWN])}{more}"


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
