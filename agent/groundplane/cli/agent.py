"""`groundplane agent`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundplane.cli import options
from groundplane.cli.agent_plan import plan
from groundplane.cli.agent_status import status, wait
from groundplane.cli.exec_helper import exec_helper

if TYPE_CHECKING:
    from groundplane.sources import Trust


@click.group()
def agent() -> None:
    """The agent on this node."""


for _command in (exec_helper, plan, status, wait):
    agent.add_command(_command)


@agent.command()
@click.option("--node", envvar="GROUNDPLANE_NODE", required=True, help="This node's name.")
@click.option(
    "--source",
    envvar="GROUNDPLANE_SOURCE",
    default="/etc/groundplane/catalog",
    show_default=True,
    metavar="URL",
    help="A directory; git+ssh://USER@HOST/REPOSITORY?ref=BRANCH&path=DIRECTORY, git+https:// "
    "likewise; or https://HOST/FILE of what `groundplane compile` prints.",
)
@click.option(
    "--trust",
    envvar="GROUNDPLANE_TRUST",
    type=click.Path(path_type=Path),
    default=Path("/etc/groundplane/trust"),
    show_default=True,
    help="Where a central source finds, as far as it needs them: ssh_key and known_hosts; ca.pem, "
    "client.pem, client.key and token for https.",
)
@click.option(
    "--health",
    type=click.Path(path_type=Path),
    default=Path("/etc/groundplane/health.yaml"),
    show_default=True,
    help="YAML: NAMESPACE/NAME of workloads to true or false; it need not be there.",
)
@options.state_directory
@options.runtime_directory
@options.dns_key
@click.option(
    "--poll",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    help="Seconds between polls of a source without notifications.",
)
@click.option(
    "--metrics-address",
    envvar="GROUNDPLANE_METRICS_ADDRESS",
    default="127.0.0.1:10249",
    show_default=True,
    help='Where Prometheus asks for /metrics; "" for nowhere.',
)
@click.option(
    "--healthz-address",
    default="127.0.0.1:10256",
    show_default=True,
    help='Where load balancers ask for /healthz and /livez; "" for nowhere.',
)
@click.option("--without-dns", is_flag=True, help="Do not manage a DNS server on this node.")
def run(
    node: str,
    source: str,
    trust: Path,
    health: Path,
    state_directory: Path,
    runtime_directory: Path,
    dns_key: Path,
    poll: float,
    metrics_address: str,
    healthz_address: str,
    *,
    without_dns: bool,
) -> None:
    """Keep this node what the catalog in SOURCE says, until told to stop.

    Rules and names stay in place when it stops, and are adopted, not rebuilt, when it starts.
    """
    import asyncio

    from groundplane.agent.logs import set_up
    from groundplane.agent.loop import Agent, Settings
    from groundplane.agent.memory import use_one_arena
    from groundplane.agent.singleton import become_the_agent
    from groundplane.agent.store import SERIALS_FILE
    from groundplane.dataplanes import Dataplane
    from groundplane.dataplanes.conntrack import StaleFlows
    from groundplane.dataplanes.dns import Bind
    from groundplane.dataplanes.dns.config import REBUILD_REQUEST
    from groundplane.kernel.privileges import empty_ambient_set
    from groundplane.proxies.node import planes
    from groundplane.sources import source_of

    use_one_arena()
    set_up(node)
    sole = become_the_agent(runtime_directory)
    empty_ambient_set()
    flows = StaleFlows()
    lanes: list[list[Dataplane[Any, Any]]] = [planes(flows)]
    if not without_dns:
        lanes.append([Bind(dns_key, state_directory / SERIALS_FILE, rebuild=Path(REBUILD_REQUEST))])
    settings = Settings(
        node,
        source_of(source, state_directory / "source", trusting(trust)),
        health,
        state_directory,
        runtime_directory,
        poll,
        metrics_address,
        healthz_address,
    )

    async def serve() -> None:
        agent = Agent(settings, lanes)
        flows.count_by(agent.report.metrics.deleted)
        await agent.run()

    with sole:
        asyncio.run(serve())


def trusting(directory: Path) -> "Trust":
    """Return the credentials for central sources in *directory*; a missing file is None."""
    from groundplane.sources import Trust

    def there(name: str) -> Path | None:
        return directory / name if (directory / name).exists() else None

    return Trust(
        key=there("ssh_key"),
        known_hosts=there("known_hosts"),
        ca=there("ca.pem"),
        certificate=there("client.pem"),
        certificate_key=there("client.key"),
        token=there("token"),
    )


@agent.command()
@options.runtime_directory
def poke(runtime_directory: Path) -> None:
    """Let the agent look at its source now, and not only at its next poll.

    For a repository's post-receive hook: `for n in $NODES; do ssh $n groundplane agent poke; done`.
    """
    from groundplane.cli.ask import ask

    ask(runtime_directory, "/poke", "POST")


@agent.command()
@click.option("--node", envvar="GROUNDPLANE_NODE", required=True, help="This node's name.")
@options.state_directory
@options.runtime_directory
@options.dns_key
@click.option("--without-dns", is_flag=True, help="Leave the records of the DNS server.")
@click.option("--dry", is_flag=True, help="Only say what would be removed.")
def cleanup(
    node: str,
    state_directory: Path,
    runtime_directory: Path,
    dns_key: Path,
    *,
    without_dns: bool,
    dry: bool,
) -> None:
    """Remove all that the agent has put on this node, and nothing else; then nothing is served.

    The agent has to be stopped: `systemctl disable --now groundplane-agent`. What the deploy put
    there (the bridge, units, /etc/groundplane, the zones themselves) is the deploy's to remove.
    """
    from groundplane.agent.cleanup import ours
    from groundplane.agent.singleton import become_the_agent
    from groundplane.dataplanes.dns import Bind

    dns = None if without_dns else Bind(dns_key)
    with become_the_agent(runtime_directory):
        for thing in ours(node, state_directory, runtime_directory, dns):
            if not dry:
                thing.remove()
            click.echo(f"{'would remove' if dry else 'removed'} {thing.what}")
