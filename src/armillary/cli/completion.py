"""`armillary completion`: the shell's help with the tab key."""

from __future__ import annotations

import rich_click as click
from click.shell_completion import get_completion_class

from armillary.cli.words import argument

_SHELLS = ["bash", "zsh", "fish"]


@click.command(epilog='Example: eval "$(armillary completion bash)"')
@argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that completes commands and options in your shell."""
    made = get_completion_class(shell)
    assert made
    click.echo(made(context.find_root().command, {}, "armillary", "_ARMILLARY_COMPLETE").source())
