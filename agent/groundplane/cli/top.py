"""`groundplane top`."""

import time
from pathlib import Path
from typing import Final

import click

from groundplane.cli import options

_CLEAR: Final = "\x1b[H\x1b[J"
_EVENTS: Final = 12


@click.command()
@options.runtime_directory
@click.option("--every", type=click.FloatRange(min=0.2), default=1.0, show_default=True)
@click.option("--once", is_flag=True, help="Show it once, and end.")
def top(runtime_directory: Path, every: float, *, once: bool) -> None:
    """Watch the agent of this node: its status and what happens, until Ctrl-C."""
    from groundplane.cli.ask import NoAgent

    while True:
        try:
            page = view(runtime_directory)
        except NoAgent as error:
            if once:
                raise
            page = f"{error}\n"
        click.echo(page if once else _CLEAR + page, nl=False)
        if once:
            return
        time.sleep(every)


def view(runtime_directory: Path) -> str:
    """Return the current page; NoAgent if no agent answers."""
    import msgspec

    from groundplane.agent.events import Event
    from groundplane.agent.status import Status
    from groundplane.cli.agent_status import described
    from groundplane.cli.ask import ask
    from groundplane.cli.events import line

    status = msgspec.json.decode(ask(runtime_directory, "/status"), type=Status)
    happened = msgspec.json.decode(ask(runtime_directory, "/events"), type=list[Event])
    lines = [*described(status, running=True), "", *map(line, happened[-_EVENTS:])]
    return "\n".join(lines) + "\n"
