"""Options that several commands share, such as the directories of this node's agent."""

from pathlib import Path

import click

from groundplane.cli.ask import RUNTIME

runtime_directory = click.option(
    "--runtime-directory",
    envvar="RUNTIME_DIRECTORY",
    type=click.Path(path_type=Path),
    default=RUNTIME,
    show_default=True,
)
state_directory = click.option(
    "--state-directory",
    envvar="STATE_DIRECTORY",
    type=click.Path(path_type=Path),
    default=Path("/var/lib/groundplane"),
    show_default=True,
)
dns_key = click.option(
    "--dns-key",
    type=click.Path(path_type=Path),
    default=Path("/etc/bind/groundplane.key"),
    show_default=True,
    help="The TSIG key that the DNS server takes updates with.",
)
live = click.option(
    "--live", is_flag=True, help="Ask the agent of this node, not the catalog in SOURCE."
)
