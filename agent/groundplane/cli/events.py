"""`groundplane events`."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from groundplane.cli import options

if TYPE_CHECKING:
    from groundplane.agent.events import Event


def line(event: "Event") -> str:
    """Return *event* as a line for a person."""
    when = datetime.fromtimestamp(event.time, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    mark = "!" if event.warning else " "
    place = event.place and f" ({event.place})"
    return f"{when} {mark} {event.reason:<17} {event.about}: {event.message}{place}"


@click.command()
@click.argument("about", required=False, default="")
@click.option("-f", "--follow", is_flag=True, help="Follow new events.")
@click.option("-n", "--last", type=click.IntRange(1), help="Only the last N.")
@click.option("-o", "--output", default="text", type=click.Choice(["text", "json"]))
@options.runtime_directory
def events(
    about: str, last: int | None, output: str, runtime_directory: Path, *, follow: bool
) -> None:
    """Say what happened on this node, and why: endpoints that left, repairs, refused sources.

    ABOUT is what to tell of: Service/NAMESPACE/NAME, Workload/NAMESPACE/NAME, a dataplane, Source.
    The agent keeps the last 5,000 events since its start; the journal has them all. With -o json
    each event is a line.
    """
    from urllib.parse import urlencode

    import msgspec

    from groundplane.agent.events import Event
    from groundplane.cli.ask import ask

    decoder = msgspec.json.Decoder(list[Event])
    since = 0
    while True:
        query = urlencode({"since": since, "about": about})
        found = decoder.decode(ask(runtime_directory, f"/events?{query}"))
        for event in found[-last:] if last else found:
            if output == "json":
                click.echo(msgspec.json.encode(event).decode())
            else:
                click.echo(line(event))
        if not follow:
            return
        since, last = found[-1].number if found else since, None
        time.sleep(1)
