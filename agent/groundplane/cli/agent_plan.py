"""`groundplane agent plan`: what the agent would change on this node now."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from groundplane.cli import options

if TYPE_CHECKING:
    from groundplane.agent.planning import Plan
    from groundplane.project.select_endpoints import Failing

_SHOWN: Final = 20  # changes of each dataplane, without --all
_PENDING: Final = 2


@click.command()
@click.option("--node", envvar="GROUNDPLANE_NODE", required=True, help="This node's name.")
@click.option(
    "--site",
    type=click.File("rb"),
    metavar="FILE",
    help="What `groundplane compile` prints, - for standard input, in place of the site that the "
    "agent uses.",
)
@options.state_directory
@options.runtime_directory
@options.dns_key
@click.option("--without-dns", is_flag=True, help="Leave the DNS server out.")
@click.option("--all", "whole", is_flag=True, help=f"Show all, not {_SHOWN} of each dataplane.")
@click.option("-o", "--output", default="text", type=click.Choice(["text", "json"]))
def plan(
    node: str,
    site: BinaryIO | None,
    state_directory: Path,
    runtime_directory: Path,
    dns_key: Path,
    output: str,
    *,
    without_dns: bool,
    whole: bool,
) -> int:
    """Show what the agent would change on this node now, in every dataplane. It changes nothing.

    It may run beside the agent, and needs root. Exit status: 0 nothing would change, 2 something
    would, 1 a dataplane cannot be read.

    \b
    groundplane agent plan                                 # what differs from the site in use
    groundplane compile site | groundplane agent plan --site -   # what another site would change
    """
    import gc

    from groundplane.agent.planning import plans, wanted
    from groundplane.agent.store import load_site
    from groundplane.cli.output import print_json

    gc.disable()  # a site is large, and this process ends soon
    encoded = site.read() if site is not None else load_site(state_directory)
    failing = failing_now(state_directory, runtime_directory)
    state = wanted(encoded, node, failing)
    found = list(plans(state, state_directory, None if without_dns else dns_key))
    if output == "json":
        print_json([_document(each) for each in found])
    else:
        for line in described(found, None if whole else _SHOWN):
            click.echo(line)
    if any(each.error for each in found):
        return 1
    return _PENDING if any(each.changes for each in found) else 0


def failing_now(state_directory: Path, runtime_directory: Path) -> "Failing":
    """Return the failing workloads: from the agent, or its saved verdicts if it does not run."""
    import msgspec

    from groundplane.agent.store import load_verdicts
    from groundplane.agent.workload_health import WorkloadHealth
    from groundplane.cli.ask import NoAgent, ask

    try:
        told = msgspec.json.decode(ask(runtime_directory, "/health"), type=list[WorkloadHealth])
    except NoAgent:
        return frozenset(
            key for key, passes in load_verdicts(state_directory).items() if not passes
        )
    return frozenset(each.key for each in told if not each.passing and not each.held)


def described(plans: Sequence["Plan"], most: int | None) -> Sequence[str]:
    """Return the lines of *plans*, at most *most* changes of each dataplane."""
    rows, more = [("DATAPLANE", "CHANGE", "OBJECT")], []
    for each in plans:
        rows += [(each.plane, verb, what) for verb, what in islice(each.changes, most)]
        if each.error:
            rows.append((each.plane, "error", each.error))
        left = 0 if most is None else len(each.changes) - most
        if left > 0:
            more.append(f"{each.plane}: {left} more; --all shows them")
    if len(rows) == 1:
        return ["Nothing would change."]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"{plane:{first}}   {verb:{second}}   {what}".rstrip() for plane, verb, what in rows]
    return lines + more


def _document(plan: "Plan") -> dict[str, object]:
    return {
        "dataplane": plan.plane,
        "error": plan.error,
        "changes": [{"change": verb, "object": what} for verb, what in plan.changes],
    }
