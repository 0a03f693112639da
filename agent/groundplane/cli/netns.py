"""`groundplane netns`: what `groundplane-netns@.service` runs."""

from pathlib import Path

import click


@click.group()
def netns() -> None:
    """Connect a workload that has addresses of its own, or disconnect it."""


_instance = click.argument("instance", metavar="NAMESPACE-NAME")


@netns.command()
@_instance
@click.option("--node", envvar="GROUNDPLANE_NODE", required=True, help="This node's name.")
@click.option(
    "--state-directory",
    type=click.Path(path_type=Path),
    default=Path("/var/lib/groundplane"),
    show_default=True,
    help="Where the agent keeps its last good site.",
)
def up(instance: str, node: str, state_directory: Path) -> None:
    """Make the namespace, the link, the addresses and the routes of a workload of this node."""
    from groundplane.agent.store import load_site
    from groundplane.node import workload_netns as links
    from groundplane.project.dsr import dsr_addresses
    from groundplane.project.node import project_base
    from groundplane.site.snapshot import decode

    site = decode(load_site(state_directory)).site(node)
    base = project_base(site, node)
    workload = links.find(base, instance)
    links.up(base, workload)
    links.answer_for(instance, dsr_addresses(site, "tunnel", workload.addresses))


@netns.command()
@_instance
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...")
def answer(instance: str, addresses: tuple[str, ...]) -> None:
    """Let a workload take what comes to services' ADDRESSES in tunnels, and to no others.

    `up` does so for those that the site says.
    """
    from groundplane.node import workload_netns as links

    links.answer_for(instance, addresses)


@netns.command()
@_instance
def down(instance: str) -> None:
    """Remove the namespace and the link, also of a workload that is in the catalog no more."""
    from groundplane.node import workload_netns as links

    links.down(instance)
