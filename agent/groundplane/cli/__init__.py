"""The `groundplane` command. It imports the module of a subcommand when that subcommand runs."""

import importlib
import sys
from typing import Any, Final

import click

from groundplane import __version__
from groundplane.errors import CatalogError, GroundplaneError
from groundplane.processes.limits import out_of_memory

_COMMANDS: Final = {
    "agent": ("groundplane.cli.agent", "agent", "The agent on this node: run it, ask it."),
    "allocate": ("groundplane.cli.allocate", "allocate", "Give new objects their addresses."),
    "check": ("groundplane.cli.check", "check", "Say everything that is wrong with a catalog."),
    "compile": (
        "groundplane.cli.compile",
        "compile_",
        "Print a catalog as a compiled site (JSON).",
    ),
    "completion": (
        "groundplane.cli.completion",
        "completion",
        "Print a shell's completion script.",
    ),
    "debug": ("groundplane.cli.debug", "debug", "Collect what a maintainer needs to see."),
    "describe": (
        "groundplane.cli.describe",
        "describe",
        "Show one service and the state of its endpoints.",
    ),
    "doctor": ("groundplane.cli.doctor", "doctor", "Find what drops traffic on this node."),
    "events": ("groundplane.cli.events", "events", "Say what happened on this node, and why."),
    "get": ("groundplane.cli.get", "get", "List services, endpoints, workloads or nodes."),
    "inventory": (
        "groundplane.cli.inventory",
        "inventory",
        "List the machines of a catalog, for deploy tools too.",
    ),
    "netns": ("groundplane.cli.netns", "netns", "Connect a workload that has its own address."),
    "pre-receive": (
        "groundplane.cli.pre_receive",
        "pre_receive",
        "Refuse a push that the nodes would refuse: a git hook.",
    ),
    "render": (
        "groundplane.cli.render",
        "render",
        "Write a node's complete configuration as files.",
    ),
    "status": ("groundplane.cli.status", "status", "Ask all nodes of a site, over ssh."),
    "top": ("groundplane.cli.top", "top", "Watch the agent of this node."),
    "schema": ("groundplane.cli.schema", "schema", "Print the JSON Schema of a kind, for editors."),
}


class _Commands(click.Group):
    """Imports a subcommand only when it runs: the others add no start-up time."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in sorted(_COMMANDS.items())])


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="SOURCE is the directory of the catalog; for get and describe, which take names, an argument "
    "that is . or holds a /. "
    "Without one it is $GROUNDPLANE_SOURCE, or the current directory.",
)
@click.version_option(__version__, prog_name="groundplane")
def cli() -> None:
    """Cluster IPs, names and load balancing for bare nodes and VMs, without a control plane.

    Exit status: 0 done, 1 an error (on standard error; what check finds is its output), 2 changes are
    pending.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command; print one line for each error, without a traceback."""
    try:
        result = cli.main(args=arguments, standalone_mode=False, prog_name="groundplane")
        sys.stdout.flush()  # a closed pipe or a full disk raises here
    except CatalogError as error:
        click.echo(str(error), err=True)
        click.echo(f"error: {error.count}", err=True)
        sys.exit(1)
    except GroundplaneError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except click.UsageError as error:
        error.show()
        sys.exit(1)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except MemoryError:
        click.echo(f"error: {out_of_memory()}", err=True)
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {where}{error.strerror or error}", err=True)
        sys.exit(1)
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        sys.exit(1)
    sys.exit(result if isinstance(result, int) else 0)
