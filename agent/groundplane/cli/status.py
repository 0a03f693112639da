"""`groundplane status`: asks every node of a site over ssh."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from groundplane.cli.arguments import source_argument
from groundplane.cli.output import print_json, print_table

if TYPE_CHECKING:
    from groundplane.inventory import Host
    from groundplane.node.fleet import NodeAnswer, NodeRow

_AT_ONCE: Final = 64  # ssh clients
_ANSWER_BYTES: Final = 8 << 20  # limit of a status; an agent keeps its own smaller
_CLEAR: Final = "\x1b[H\x1b[J"
# Runs on a node; the start of our own command there would take ten times as long.
_SCRIPT: Final = """\
import socket
try:
    asked = socket.socket(socket.AF_UNIX)
    asked.settimeout(5)
    asked.connect("/run/groundplane/agent.sock")
    asked.sendall(b"GET /status HTTP/1.1\\r\\n\\r\\n")
    said = b"".join(iter(lambda: asked.recv(65536), b""))
    print("running")
    print(said.partition(b"\\r\\n\\r\\n")[2].decode())
except OSError as error:
    print(error)
    print(open("/run/groundplane/status.json").read())
"""


@click.command()
@click.option(
    "-F",
    "--ssh-config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The ssh_config that knows the nodes by their names; otherwise they are reached as their "
    "documents say.",
)
@click.option("--within", type=click.FloatRange(min=1), default=10.0, show_default=True,
              metavar="SECONDS", help="How long a node has to answer.")  # fmt: skip
@click.option("-o", "--output", default="table", type=click.Choice(["table", "json"]))
@click.option("--watch", is_flag=True, help="Ask again every two seconds, until Ctrl-C.")
@source_argument
def status(
    ssh_config: Path | None, within: float, output: str, source: Path, *, watch: bool
) -> int:
    """Ask the agents of all nodes of SOURCE, over ssh, what they make of the site.

    LAG is how long the newest revision is in use elsewhere while it is not on a node, HELD how many
    failing workloads stay endpoints since the node is cut off, FAILING how many fail. Exit status 0
    when every node has the newest revision and all is as declared, else 1.
    """
    from groundplane.compile.pipeline import read_catalog
    from groundplane.inventory import hosts
    from groundplane.processes.limits import limited

    with limited():
        listed = [host for host in hosts(read_catalog(source)) if host.node]
    while True:
        rows = asyncio.run(_ask_all(listed, ssh_config, within))
        if watch and output == "table":
            click.echo(_CLEAR, nl=False)
        _show(rows, output)
        if not watch:
            return 0 if all(row.well for row in rows) else 1
        time.sleep(2)


def _show(rows: "Sequence[NodeRow]", output: str) -> None:
    from groundplane.node.fleet import table

    if output == "json":
        print_json([row._asdict() | {"well": row.well} for row in rows])
        return
    print_table(*table(rows))
    for row in rows:
        if row.detail:
            click.echo(f"{row.node}: {row.detail}")


async def _ask_all(listed: "Sequence[Host]", config: Path | None, within: float) -> "list[NodeRow]":
    from groundplane.inventory import known_hosts
    from groundplane.node.fleet import compare

    turns = asyncio.Semaphore(_AT_ONCE)
    answered = 0

    with tempfile.NamedTemporaryFile("w", prefix="known_hosts-") as pinned:
        pinned.write(known_hosts(tuple(listed)))
        pinned.flush()

        async def one(host: "Host") -> "NodeAnswer":
            nonlocal answered
            async with turns:
                answer = await _ask(_ssh(host, config, pinned.name), within)
            answered += 1
            if sys.stderr.isatty():
                done = answered == len(listed)
                click.echo(
                    f"\r\x1b[K{'' if done else f'{answered} of {len(listed)}'}", nl=False, err=True
                )
            return answer

        answers = await asyncio.gather(*map(one, listed))
    found = {host.name: answer for host, answer in zip(listed, answers, strict=True)}
    return compare(found, time.time())


def _ssh(host: "Host", config: Path | None, pinned: str) -> list[str]:
    """Return the command that runs the script from its standard input on *host*."""
    # No shared connection: one to a dead node hangs until its control master notices.
    options = ["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "ControlPath=none"]
    command = "python3 -I -S -"
    if config is not None:
        return ["ssh", "-F", str(config), *options, "--", host.name, command]
    management = host.management
    if management.host_keys:
        options += ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={pinned}"]
    if management.key_file:
        options += ["-i", str(Path(management.key_file).expanduser())]
    return [
        "ssh",
        *options,
        "-p",
        str(management.port),
        "-l",
        management.user,
        "--",  # what follows is never an option
        host.address,
        command,
    ]


async def _ask(command: list[str], within: float) -> "NodeAnswer":
    import msgspec

    from groundplane.agent.status import Status
    from groundplane.node.fleet import NodeAnswer
    from groundplane.processes.streams import TooLong, all_of, end, last_of

    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    assert child.stdin  # noqa: S101
    assert child.stdout  # noqa: S101
    assert child.stderr  # noqa: S101
    try:
        async with asyncio.timeout(within):
            child.stdin.write(_SCRIPT.encode())  # a few lines: they fit into the pipe
            child.stdin.close()
            output, errors, _ = await asyncio.gather(
                all_of(child.stdout, _ANSWER_BYTES, child.kill), last_of(child.stderr), child.wait()
            )
    except TimeoutError:
        return NodeAnswer(None, error=f"no answer within {within:g} s")
    except TooLong:
        return NodeAnswer(None, error=f"the answer has more than {_ANSWER_BYTES >> 20} MiB")
    finally:
        await end(child)
    first, _, rest = output.decode(errors="replace").partition("\n")
    try:
        found = msgspec.json.decode(rest, type=Status)
    except msgspec.DecodeError:
        said = errors.decode(errors="replace").strip().splitlines() or [first or "no answer"]
        return NodeAnswer(None, error=said[-1])
    running = first == "running"
    return NodeAnswer(found, running, "" if running else f"it does not answer: {first}")
