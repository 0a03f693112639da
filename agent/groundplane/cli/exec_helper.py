"""`groundplane agent exec-helper`: what `groundplane-exec.service` runs."""

from pathlib import Path

import click


@click.command("exec-helper")
@click.option(
    "--socket",
    "socket_path",
    type=click.Path(path_type=Path),
    default=None,
    help="Where the agent asks; where it looks for it by default.",
)
@click.option(
    "--allow-list",
    type=click.Path(path_type=Path),
    default=Path("/etc/groundplane/exec-probes"),
    show_default=True,
    help="The programs that may be run, one path a line; root's alone to write, as they are.",
)
@click.option("--user", default="groundplane-probe", show_default=True, help="Whom they run as.")
@click.option(
    "--agent-user", default="groundplane", show_default=True, help="Who may ask, beside root."
)
def exec_helper(socket_path: Path | None, allow_list: Path, user: str, agent_user: str) -> None:
    """Run the commands of exec probes for the agent, until told to stop. It has to be root.

    Each runs as a user without rights in the network of its workload, if its program is listed.
    """
    import asyncio
    import pwd
    import signal

    from groundplane.agent.health_monitor import EXEC_SOCKET
    from groundplane.agent.notify import notify
    from groundplane.errors import GroundplaneError
    from groundplane.probes.execution import serve

    try:
        pwd.getpwnam(user)
        client = pwd.getpwnam(agent_user).pw_uid
    except KeyError:
        raise GroundplaneError(f"{user} and {agent_user} have to be users") from None

    async def run() -> None:
        serving = asyncio.ensure_future(
            serve(
                socket_path or EXEC_SOCKET,
                allow_list,
                user,
                {client},
                ready=lambda: notify("READY=1"),
            )
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
        await asyncio.wait([serving])
        if not serving.cancelled():
            serving.result()

    asyncio.run(run())
