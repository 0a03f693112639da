"""`groundplane allocate`."""

from pathlib import Path

import click

from groundplane.allocate import LOCK_NAME, format_lock
from groundplane.cli.arguments import bounded, source_argument
from groundplane.cli.source_cache import reader_of
from groundplane.compile.pipeline import allocate_source, read_catalog
from groundplane.errors import CatalogError


@click.command()
@source_argument
@click.option(
    "--check", "only_check", is_flag=True, help="Write nothing; exit 2 if it would change."
)
@bounded
def allocate(source: Path, *, only_check: bool) -> int:
    """Give every new object of SOURCE its addresses, and write them to addresses.lock.

    What an object has, it keeps. Commit the lock with the catalog: no agent applies a catalog
    whose lock would change.
    """
    from groundplane.atomic import write_atomically

    try:
        with reader_of(source) as read:
            catalog = read_catalog(source, read)
        allocations, lock = allocate_source(source, catalog)
    except CatalogError as error:
        unchanged = "" if only_check else "; nothing was changed"
        click.echo(f"{error}\nerror: {error.count}{unchanged}", err=True)
        return 1
    after = allocations.lock
    for key in sorted(set(lock.held) | set(after.held)):
        before, now = lock.held.get(key, ()), after.held.get(key, ())
        if before == now:
            continue
        sign = "+" if not before else "-" if not now else "~"
        click.echo(f"{sign} {key} {' '.join(now or before)}")
    path = source / LOCK_NAME
    text = format_lock(after)
    if path.exists() and path.read_bytes() == text.encode():
        click.echo(f"{path}: up to date", err=True)
        return 0
    if only_check:
        what = "be written otherwise, with the same addresses" if after == lock else "change"
        click.echo(f"{path}: would {what}; run `groundplane allocate`", err=True)
        return 2
    write_atomically(path.resolve(), text.encode())  # the target of a link, not the link itself
    click.echo(f"{path}: written; commit it with the catalog", err=True)
    return 0
