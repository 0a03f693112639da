"""`groundplane render`."""

from pathlib import Path

import click

from groundplane.cli.arguments import bounded, failing_workloads, source_argument


@click.command()
@source_argument
@click.option("--node", required=True, help="The node whose configuration is written.")
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory.",
)
@click.option(
    "--health",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="YAML: NAMESPACE/NAME of workloads to true or false; all pass without it.",
)
@bounded
def render(source: Path, node: str, output: Path, health: Path | None) -> int:
    """Write the complete configuration of one node of SOURCE as files, without any privilege.

    nftables.nft loads with `nft -f` on its own and replaces groundplane's tables as a whole.
    """
    from groundplane.compile.pipeline import compile_source
    from groundplane.node.config_files import node_files
    from groundplane.project import project

    state = project(compile_source(source), node, failing_workloads(health))
    files = node_files(state)
    for name, text in files.items():
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    click.echo(f"{output}: {len(files)} files for Node/{node}", err=True)
    return 0
