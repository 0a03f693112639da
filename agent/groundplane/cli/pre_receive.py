"""`groundplane pre-receive`: the hook of a repository that nodes follow."""

import os
import sys
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from groundplane.cli.arguments import bounded
from groundplane.cli.check import examine
from groundplane.errors import GroundplaneError
from groundplane.site.compiled import Site

ACCEPT_WARNINGS: Final = "accept-warnings"
ACCEPT_SKIPPED: Final = "accept-skipped"


@click.command("pre-receive")
@click.option("--branch", default="main", show_default=True, help="The branch that nodes follow.")
@click.option("--path", default="", help="The directory of the catalog in the repository.")
@bounded
def pre_receive(branch: str, path: str) -> int:
    """Accept or refuse a push: git runs this as hooks/pre-receive of a repository.

    A push to the branch is refused, with the reasons, where `groundplane check --strict` or
    `groundplane allocate --check` would refuse it, or where it goes beyond spec.changeLimits. `git
    push -o accept-skipped` adds --allow-skipped, and `-o accept-warnings` leaves --strict out, if the
    repository has receive.advertisePushOptions set.
    """
    from groundplane.sources.receiving import push_options, updates

    options = push_options()
    for update in updates(sys.stdin):
        if update.ref != f"refs/heads/{branch}":
            continue
        if not update.new:
            click.echo(f"error: nodes follow {branch}: it cannot be deleted", err=True)
            return 1
        with TemporaryDirectory(prefix="groundplane-") as scratch:
            try:
                refused = _refused(Path(scratch), update.old, update.new, path, options)
            except GroundplaneError as error:
                refused = f"error: {error}"
        if refused:
            click.echo(refused, err=True)
            click.echo(f"{branch} stays as it is", err=True)
            return 1
    return 0


def _refused(scratch: Path, old: str, new: str, path: str, options: list[str]) -> str:
    """Check *new* and print the result; return why it may not replace *old*, "" if it may."""
    from groundplane.sources.receiving import export_commit

    repository = Path(os.environ.get("GIT_DIR", ".")).absolute()
    export_commit(repository, new, path, scratch / "new")
    with chdir(scratch / "new"):  # so that messages name files as the repository does
        found, site = examine(Path())
    for line in found.lines:
        click.echo(line)
    if site is None:
        click.echo(f".: {found.faults}", err=True)
        return f"error: nodes would refuse {new[:12]}"
    if found.lock_outdated:
        return f"error: {found.lock_outdated}, and commit what it writes"
    strict = found.refused(allow_skipped=ACCEPT_SKIPPED in options)
    if strict and ACCEPT_WARNINGS not in options:
        return f"error: {strict}; git push -o {ACCEPT_WARNINGS} accepts it all"
    return _held_back(repository, old, path, scratch / "old", site) if old else ""


def _held_back(repository: Path, commit: str, path: str, into: Path, site: Site) -> str:
    """Return why nodes that have *commit* would hold *site* back, or "".

    The catalog of *commit* is written into the new directory *into*.
    """
    from groundplane.compile.pipeline import compile_source
    from groundplane.site.change_limits import held_back
    from groundplane.site.encoding import encode
    from groundplane.site.snapshot import advance, decode
    from groundplane.sources.receiving import export_commit

    try:
        export_commit(repository, commit, path, into)
        before = decode(encode(compile_source(into)))
    except GroundplaneError:
        click.echo("note: the commit before it cannot be compiled: changeLimits are not checked")
        return ""
    after, keys = advance(before, encode(site))
    why = held_back(before, after, keys)
    return f"error: nodes would refuse it: {why}" if why else ""
