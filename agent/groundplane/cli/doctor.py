"""`groundplane doctor`."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from groundplane.doctor import Facts
    from groundplane.site.compiled import Node, Service, Site

_STATE = Path("/var/lib/groundplane")


@click.command(
    epilog="Examples: `groundplane doctor` on a node whose agent has applied a site, "
    "`groundplane doctor --node n1 ./catalog` on a machine that is to become one, "
    "`groundplane doctor -o json | jq '.findings[] | select(.severity == \"error\")'` in a test."
)
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option(
    "--node",
    envvar="GROUNDPLANE_NODE",
    help="This node's name.  [default: the node whose address this machine has]",
)
@click.option(
    "--state-directory",
    type=click.Path(path_type=Path),
    help=f"Where the agent keeps its last good site.  [default: {_STATE}, without a SOURCE]",
)
@click.option("-o", "--output", default="text", type=click.Choice(["text", "json"]))
def doctor(source: Path | None, node: str | None, state_directory: Path | None, output: str) -> int:
    """Say what on this node would drop the traffic of services, and how to mend it.

    Run it on the node itself, as root or with CAP_NET_ADMIN; nothing is changed. What the node
    has to do is taken from the site that its agent applied last, or from the catalog in SOURCE.

    Packets that have to pass (from workloads to services and back, between nodes, from outside,
    to the name server and to health checks) are followed through every nftables rule that is not
    groundplane's: a drop anywhere wins, whoever else accepts. Settings of the kernel, addresses,
    routes and listeners are looked at too.

    Each finding has the place, what happens to traffic, and the commands that mend it: an error
    loses traffic, a warning loses some or may, an info is worth knowing. Exit status 0 without
    an error, else 1.
    """
    from groundplane.doctor import diagnose, exposed, gather
    from groundplane.project.node import project_base

    if source is not None and state_directory is not None:
        raise click.UsageError("SOURCE and --state-directory exclude each other")
    facts = gather()
    site, services = _site(source, state_directory or _STATE)
    name = node or _here(site("").nodes, facts)
    base = project_base(site(name), name)
    findings = diagnose(base, facts, exposed(services, base.addresses))
    errors = sum(each.severity == "error" for each in findings)
    if output == "json":
        import msgspec

        from groundplane.cli.output import print_json

        listed = [msgspec.to_builtins(each) for each in findings]
        print_json({"node": name, "healthy": not errors, "findings": listed})
        return 1 if errors else 0
    for each in findings:
        click.echo(f"{each.severity}: {each.subject}\n  {each.message}\n  {each.remedy}\n")
    counts = [f"{errors} error{'' if errors == 1 else 's'}"]
    for severity, plural in (("warning", "warnings"), ("info", "infos")):
        count = sum(each.severity == severity for each in findings)
        counts.append(f"{count} {severity if count == 1 else plural}")
    click.echo(f"Node/{name}: {', '.join(counts) if findings else 'nothing is in the way'}")
    return 1 if errors else 0


def _site(source: Path | None, state: Path) -> tuple[Callable[[str], "Site"], Iterable["Service"]]:
    """Return a function from a node's name to the site for that node, and all services.

    GroundplaneError without a site.
    """
    if source is not None:
        from groundplane.cli.output import note
        from groundplane.compile.pipeline import preview_source

        _, site, notice = preview_source(source)
        if notice:
            note(notice)
        return lambda _: site, site.services
    from groundplane.agent.store import load_site
    from groundplane.errors import StateError
    from groundplane.site.snapshot import decode

    try:
        snapshot = decode(load_site(state))
    except StateError as error:
        raise StateError(
            f"{error}; where the agent has applied no site yet, name the catalog's directory"
        ) from None
    return snapshot.site, snapshot.every_service()


def _here(nodes: Iterable["Node"], facts: "Facts") -> str:
    """Return the node whose address this machine has; GroundplaneError if no node has one."""
    from groundplane.errors import GroundplaneError

    addresses = {each.address for each in facts.addresses}
    for node in nodes:
        if addresses & {*node.addresses}:
            return node.name
    raise GroundplaneError("no Node has an address of this machine; set --node")
