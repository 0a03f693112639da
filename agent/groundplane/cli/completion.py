"""`groundplane completion`."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL: `source <(groundplane completion bash)`."""
    class_ = get_completion_class(shell)
    assert class_ is not None  # noqa: S101
    root = ctx.find_root().command
    click.echo(class_(root, {}, "groundplane", "_GROUNDPLANE_COMPLETE").source())
