"""`groundplane agent`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

_RUNTIME = Path("/run/groundplane")


@click.group()
def agent() -> None:
    """The agent on this node."""


@agent.command()
@click.option("--node", envvar="GROUNDPLANE_NODE", required=True, help="This node's name.")
@click.option(
    "--source",
    envvar="GROUNDPLANE_SOURCE",
    type=click.Path(path_type=Path),
    default=Path("/etc/groundplane/catalog"),
    show_default=True,
)
@click.option(
    "--health",
    type=click.Path(path_type=Path),
    default=Path("/etc/groundplane/health.yaml"),
    show_default=True,
    help="YAML: NAMESPACE/NAME of workloads to true or false; it need not be there.",
)
@click.option(
    "--state-directory",
    envvar="STATE_DIRECTORY",
    type=click.Path(path_type=Path),
    default=Path("/var/lib/groundplane"),
    show_default=True,
)
@click.option(
    "--runtime-directory",
    envvar="RUNTIME_DIRECTORY",
    type=click.Path(path_type=Path),
    default=_RUNTIME,
    show_default=True,
)
@click.option(
    "--dns-key",
    type=click.Path(path_type=Path),
    default=Path("/etc/bind/groundplane.key"),
    show_default=True,
    help="The TSIG key that the DNS server takes updates with.",
)
@click.option("--without-dns", is_flag=True, help="This node runs no DNS server of ours.")
def run(
    node: str,
    source: Path,
    health: Path,
    state_directory: Path,
    runtime_directory: Path,
    dns_key: Path,
    *,
    without_dns: bool,
) -> None:
    """Keep this node what the catalog in SOURCE says, until told to stop.

    Rules and names stay in place when it stops, and are adopted, not rebuilt, when it starts.
    """
    import asyncio
    import logging

    from groundplane.agent.loop import Agent, Settings
    from groundplane.agent.sole import become_the_agent
    from groundplane.dataplanes import Dataplane
    from groundplane.dataplanes.conntrack import StaleFlows
    from groundplane.dataplanes.dns import Bind
    from groundplane.dataplanes.links import Links
    from groundplane.dataplanes.nftables import Nftables
    from groundplane.privileges import keep_capabilities_to_ourselves
    from groundplane.sources.directory import Directory

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    sole = become_the_agent()
    keep_capabilities_to_ourselves()
    lanes: list[list[Dataplane[Any, Any]]] = [[Links(), Nftables(), StaleFlows()]]
    if not without_dns:
        lanes.append([Bind(dns_key)])
    settings = Settings(node, Directory(source), health, state_directory, runtime_directory)

    async def serve() -> None:
        await Agent(settings, lanes).run()

    with sole:
        asyncio.run(serve())


@agent.command()
@click.option(
    "--runtime-directory",
    envvar="RUNTIME_DIRECTORY",
    type=click.Path(path_type=Path),
    default=_RUNTIME,
    show_default=True,
)
@click.option("-o", "--output", default="text", type=click.Choice(["text", "json"]))
def status(runtime_directory: Path, output: str) -> int:
    """Say what the agent on this node is doing. Exit status 0 when all is as declared, else 1."""
    import msgspec

    from groundplane.agent.status import is_running, read_status
    from groundplane.cli.output import print_json

    found = read_status(runtime_directory)
    running = is_running(found)
    healthy = found.healthy and running
    if output == "json":
        print_json(msgspec.to_builtins(found) | {"running": running, "healthy": healthy})
        return 0 if healthy else 1
    lines = [
        ("Node", found.node),
        ("Version", f"{found.version} (pid {found.pid}, since {_time(found.started)})"),
        ("Source", f"{found.source} (looked at {_time(found.source_checked)})"),
        (
            "Revision",
            f"{found.revision or 'none'} ({found.services} services, {_time(found.applied)})",
        ),
    ]
    for plane in found.planes:
        text = plane.error or f"as declared since {_time(plane.since)}"
        lines.append((plane.name, text))
    for heading, text in lines:
        click.echo(f"{heading + ':':<12}{text}")
    if found.failing:
        click.echo(f"{found.failing} workloads fail, as the health file says.")
    if not running:
        click.echo("The agent is not running; what it wrote stays in place.")
    if found.health_error:
        click.echo(f"The health file is not used: {found.health_error}")
    for error in found.health_check_errors:
        click.echo(error[0].upper() + error[1:])
    if found.store_error:
        click.echo(f"The revision above is not kept for the next start: {found.store_error}")
    if found.source_error:
        click.echo("The source is not used; the revision above stays in place:")
        click.echo("\n".join(f"  {line}" for line in found.source_error.splitlines()))
    return 0 if healthy else 1


def _time(seconds: float) -> str:
    return (
        datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if seconds else "never"
    )
