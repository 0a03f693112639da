"""`groundplane netns`: what `groundplane-netns@.service` runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from groundplane.project.state import NodeBase


@click.group()
def netns() -> None:
    """Connect a workload that has addresses of its own, or disconnect it."""


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option("--node", envvar="GROUNDPLANE_NODE", required=True)(function)
    function = click.option(
        "--state-directory",
        type=click.Path(path_type=Path),
        default=Path("/var/lib/groundplane"),
        show_default=True,
    )(function)
    return click.argument("instance", metavar="NAMESPACE-NAME")(function)


def _base(state_directory: Path, node: str) -> NodeBase:
    from groundplane.agent.store import decode_site, load_site
    from groundplane.project.node import project_base

    return project_base(decode_site(load_site(state_directory)), node)


@netns.command()
@_options
def up(instance: str, node: str, state_directory: Path) -> None:
    """Make the namespace, the link, the addresses and the routes of a workload of this node."""
    from groundplane import netns as links

    base = _base(state_directory, node)
    links.up(base, links.find(base, instance))


@netns.command()
@_options
def down(instance: str, node: str, state_directory: Path) -> None:
    """Remove the namespace and the link, also of a workload that is in the catalog no more."""
    from groundplane import netns as links

    del node, state_directory
    links.down(instance)
