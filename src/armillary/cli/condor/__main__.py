"""What the installed commands run: `python -m armillary.cli.condor condor_q …`."""

from __future__ import annotations

import sys

import rich_click as click

from armillary.cli.condor.main import run
from armillary.cli.words import argument, context


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@argument("name")
@argument("arguments", nargs=-1, type=click.UNPROCESSED)
def main(name: str, arguments: tuple[str, ...]) -> None:
    """Run one of the commands."""
    context().exit(run(name, arguments))


if __name__ == "__main__":
    try:
        main.main(args=sys.argv[1:], prog_name="")
    except BrokenPipeError:
        sys.exit(1)  # whoever read us has seen enough
