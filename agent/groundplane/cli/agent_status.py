"""`groundplane agent status` and `groundplane agent wait`: what the agent says about itself."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from groundplane.cli import options
from groundplane.doctor.leftovers import REMEDY

if TYPE_CHECKING:
    from groundplane.agent.status import Status

_EVERY_S: Final = 0.2
_STAYS_S: Final = 10.0  # a source error that lasts this long does not resolve by itself


class Waited(NamedTuple):
    """The status of the agent; the last one if the agent does not run."""

    status: "Status"
    running: bool

    @property
    def healthy(self) -> bool:
        return self.running and self.status.healthy


@click.command()
@options.runtime_directory
@click.option("-o", "--output", default="text", type=click.Choice(["text", "json"]))
def status(runtime_directory: Path, output: str) -> int:
    """Say what the agent on this node is doing. Exit status 0 when all is as declared, else 1."""
    import msgspec

    from groundplane.cli.output import print_json

    found = asked(runtime_directory)
    if output == "json":
        more = {"running": found.running, "healthy": found.healthy}
        print_json(msgspec.to_builtins(found.status) | more)
    else:
        for line in described(found.status, running=found.running):
            click.echo(line)
    return 0 if found.healthy else 1


@click.command()
@options.runtime_directory
@click.option(
    "--within",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait.",
)
@click.option("--revision", default="", help="The revision that has to be in use.")
def wait(runtime_directory: Path, within: float, revision: str) -> int:
    """Wait until all is as declared by what the source has now. Exit status 0 then, else 1.

    The agent looks at its source first. What it says in the end is printed where it is not well.
    """
    from groundplane.cli.ask import ask
    from groundplane.errors import StateError

    began = time.time()
    looked, refused_since = False, 0.0
    found, why = None, "the agent has not started"
    while True:
        try:
            if not looked:
                ask(runtime_directory, "/poke", "POST")
                looked = True
            found = asked(runtime_directory)
            why = _missing(found, began, revision)
        except StateError as error:  # no agent, or no status of it yet
            looked, why = False, str(error)
        if not why:
            return 0
        now = time.time()
        refused_since = (refused_since or now) if found and _is_refused(found, began) else 0.0
        if now - began >= within or (refused_since and now - refused_since >= _STAYS_S):
            break
        time.sleep(_EVERY_S)
    click.echo(f"error: {why}", err=True)
    if found is not None:
        for line in described(found.status, running=found.running):
            click.echo(line, err=True)
    return 1


def _is_refused(found: Waited, began: float) -> bool:
    """Return whether the agent has checked its source since *began*, and refuses what it found.

    For a remote source, only a held-back change counts: a failing server may come back.
    """
    status = found.status
    if status.source_checked < began or not status.source_error:
        return False
    return status.source.startswith("/") or status.change_held


def _missing(found: Waited, began: float, revision: str) -> str:
    """Return why the node is not as declared yet, "" if it is."""
    status = found.status
    if not found.running:
        return "the agent does not run"
    if status.source_checked < began:
        return "the agent has not looked at its source"
    if not found.healthy:
        return "the agent does not report that all is as declared"
    if revision not in ("", status.revision):
        return f"the agent uses revision {status.revision}, not {revision}"
    return ""


def asked(runtime_directory: Path) -> Waited:
    """Return the status of the agent, or the last one if it does not run.

    StateError if there has never been one.
    """
    import msgspec

    from groundplane.agent.status import Status, read_status
    from groundplane.cli.ask import NoAgent, ask

    try:
        said = msgspec.json.decode(ask(runtime_directory, "/status"), type=Status)
    except NoAgent:
        return Waited(read_status(runtime_directory), running=False)
    return Waited(said, running=True)


def described(status: "Status", *, running: bool) -> Iterator[str]:
    """Yield *status* as lines for a person."""
    source = f"{status.source_revision}, " if status.source_revision else ""
    lines = [
        ("Node", status.node),
        ("Version", f"{status.version} (pid {status.pid}, since {instant(status.started)})"),
        ("Source", f"{status.source} ({source}looked at {instant(status.source_checked)})"),
        (
            "Revision",
            f"{status.revision or 'none'} ({status.services} services, {instant(status.applied)})",
        ),
    ]
    for plane in status.planes:
        repairs = f"; repaired {plane.repairs} times" if plane.repairs else ""
        busy = f"busy since {instant(plane.busy_since)}, and may not be as declared"
        text = plane.contested or f"as declared since {instant(plane.since)}{repairs}"
        lines.append((plane.name, plane.error or (busy if plane.busy_since else text)))
    for heading, text in lines:
        yield f"{heading + ':':<12}{text}"
    if status.failing:
        more = status.failing - len(status.failing_workloads)
        names = f"{', '.join(status.failing_workloads)}{f' and {more} more' if more > 0 else ''}"
        yield f"{status.failing} workload{'s fail' if status.failing > 1 else ' fails'}: {names}"
    yield from _wrong(status, running=running)


def _wrong(status: "Status", *, running: bool) -> Iterator[str]:
    for name in status.leftover_workloads:
        yield f"The workload {name} left this node; its network is still here: {REMEDY.format(name)}"
    if not running:
        yield "The agent is not running; what it wrote stays in place."
    if status.health_error:
        yield f"The health file is not used: {status.health_error}"
    for error in status.health_check_errors:
        yield error[0].upper() + error[1:]
    if status.store_error:
        yield f"The revision above is not kept for the next start: {status.store_error}"
    if status.source_error:
        yield "The source is not used; the revision above stays in place:"
        for line in status.source_error.splitlines():
            yield f"  {line}"


def instant(seconds: float) -> str:
    """Return a Unix time as text for people, "never" for 0."""
    return (
        datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if seconds else "never"
    )
