"""`groundplane get`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from groundplane.cli import options
from groundplane.cli.arguments import bounded, failing_workloads, live_name, name_and_source
from groundplane.cli.output import note, print_json, print_table, print_yaml

if TYPE_CHECKING:
    from groundplane.cli.tables import Row

_KINDS: Final = {
    "services": "services", "service": "services", "svc": "services",
    "endpoints": "endpoints", "endpoint": "endpoints", "ep": "endpoints",
    "workloads": "workloads", "workload": "workloads", "wl": "workloads",
    "nodes": "nodes", "node": "nodes", "no": "nodes",
}  # fmt: skip


@click.command()
@click.argument("kind", type=click.Choice(list(_KINDS)), metavar="KIND")
@click.argument("arguments", nargs=-1, metavar="[NAME] [SOURCE]")
@click.option("-n", "--namespace", default="default", show_default=True, help="Of the objects.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Objects of all namespaces.")
@click.option(
    "-o", "--output", default="table", type=click.Choice(["table", "wide", "json", "yaml"])
)
@click.option(
    "--health",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="As for `groundplane render`.",
)
@options.live
@options.state_directory
@options.runtime_directory
@bounded
def get(
    kind: str,
    arguments: tuple[str, ...],
    namespace: str,
    output: str,
    health: Path | None,
    state_directory: Path,
    runtime_directory: Path,
    *,
    all_namespaces: bool,
    live: bool,
) -> int:
    """List services, endpoints, workloads or nodes (KIND) of SOURCE, or the one called NAME.

    Addresses are those of addresses.lock; health is not asked for, only taken from --health. With
    --live the agent of this node is asked: what it uses now, which workloads pass, since when, and
    what their probes answer.
    """
    plural = _KINDS[kind]
    if live:
        name = live_name(arguments, health)
        if plural == "nodes":
            raise click.UsageError("--live is for services, endpoints and workloads")
        found = _live_rows(plural, state_directory, runtime_directory)
    else:
        name, source = name_and_source(arguments)
        found = _rows(plural, source, health)
    scoped = plural != "nodes"
    chosen: Callable[[Row], bool] = lambda row: (  # noqa: E731
        (not scoped or all_namespaces or row.namespace == namespace)
        and (name is None or row.name == name)
    )
    listed = [row for row in found if chosen(row)]
    if name is not None and not listed:
        return _missing(plural, name, namespace, found)
    if output in ("json", "yaml"):
        _machine(
            output, [row.document for row in listed], single=name is not None and len(listed) == 1
        )
        return 0
    if not listed:
        where = f' in namespace "{namespace}"' if scoped and not all_namespaces else ""
        click.echo(f"No {plural} found{where}.", err=True)
        return 0
    _print(listed, namespaces=scoped and all_namespaces, wide=output == "wide")
    return 0


def _print(listed: "Sequence[Row]", *, namespaces: bool, wide: bool) -> None:
    """Print a table; with *namespaces*, its first column is the namespace of each row."""
    headings = (["NAMESPACE"] if namespaces else []) + listed[0].headings(wide=wide)
    cells = [([row.namespace] if namespaces else []) + row.cells(wide=wide) for row in listed]
    print_table(headings, cells)


def _rows(plural: str, source: Path, health: Path | None) -> "list[Row]":
    from groundplane.cli.source_cache import reader_of
    from groundplane.cli.tables import rows
    from groundplane.compile.pipeline import preview_source

    with reader_of(source) as read:
        catalog, site, notice = preview_source(source, read)
    if notice:
        note(notice)
    return rows(plural, catalog, site, failing_workloads(health))


def _live_rows(plural: str, state_directory: Path, runtime_directory: Path) -> "list[Row]":
    from groundplane.cli.live import live_rows, live_site

    return live_rows(plural, live_site(state_directory, runtime_directory))


def _machine(output: str, documents: list[dict[str, Any]], *, single: bool) -> None:
    value: Any = (
        documents[0] if single else {"apiVersion": "v1", "kind": "List", "items": documents}
    )
    if output == "json":
        print_json(value)
    else:
        print_yaml(value)


def _missing(plural: str, name: str, namespace: str, found: Sequence["Row"]) -> int:
    from groundplane.hint import did_you_mean

    where = "" if plural == "nodes" else f' in namespace "{namespace}"'
    elsewhere = [row.namespace for row in found if row.name == name]
    hint = did_you_mean(name, [row.name for row in found])
    if elsewhere:
        hint = f"; there is one in namespace {', '.join(elsewhere)}"
    click.echo(f'error: no {plural[:-1]} "{name}"{where}{hint}', err=True)
    return 1
