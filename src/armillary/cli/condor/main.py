"""`armillary condor …`: the commands by HTCondor's names, and their installation into a directory."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import cast

import rich_click as click

from armillary.base.errors import ArmillaryError
from armillary.cli.condor.installing import write_tools
from armillary.cli.condor.reaching import Reach
from armillary.cli.output import say
from armillary.cli.session import connect
from armillary.cli.words import argument, context, option

Tool = Callable[[Sequence[str], Reach], int]
TOOLS = {
    "condor_submit": ("armillary.cli.condor.submit:condor_submit", "Submit a submit file.", "catalogue.sub"),
    "condor_submit_dag": (
        "armillary.cli.condor.dag:condor_submit_dag",
        "Run a DAG by the DAGMan of this machine.",
        "flow.dag",
    ),
    "condor_q": ("armillary.cli.condor.queue:condor_q", "Show jobs that wait, run or are held.", "-nobatch"),
    "condor_history": ("armillary.cli.condor.queue:condor_history", "Show jobs that are over.", "-limit 5"),
    "condor_rm": ("armillary.cli.condor.acting:REMOVE", "Remove jobs.", "12 13.4"),
    "condor_hold": ("armillary.cli.condor.acting:HOLD", "Hold jobs.", "12 -reason why"),
    "condor_release": ("armillary.cli.condor.acting:RELEASE", "Let held jobs run.", "-all"),
    "condor_prio": ("armillary.cli.condor.acting:condor_prio", "Change priorities.", "-p 10 12.0"),
    "condor_status": ("armillary.cli.condor.pool:condor_status", "Show the workers.", "-json"),
    "condor_tail": (
        "armillary.cli.condor.looking:condor_tail",
        "Show the end of what a job writes.",
        "-f 12.0",
    ),
    "condor_ssh_to_job": (
        "armillary.cli.condor.looking:condor_ssh_to_job",
        "Open a shell inside of a running job.",
        "12.0",
    ),
    "condor_wait": (
        "armillary.cli.condor.looking:condor_wait",
        "Wait for the jobs of an event log.",
        "jobs.log",
    ),
}
_FAILED = 1


def run(name: str, arguments: Sequence[str]) -> int:
    """Run one of the tools; a refusal is told as HTCondor tells it, with our remedy."""
    if any(word.lstrip("-") == "version" and word.startswith("-") for word in arguments):
        click.echo(f"$CondorVersion: 25.0.0 armillary {metadata.version('armillary')} $")
        return 0
    tool = _tool(name)
    if any(word in {"-h", "-help", "--help"} for word in arguments[:1]):
        click.echo(f"{name}: {tool.__doc__ or TOOLS[name][1]}\n\nExample: {name} {TOOLS[name][2]}")
        return 0
    try:
        with connect() as http:
            return tool(arguments, Reach(http=http))
    except ArmillaryError as error:
        sys.stdout.flush()
        click.echo(f"ERROR: {error.message}", err=True)
        if error.remedy:
            click.echo(f"       {error.remedy}", err=True)
        return _FAILED


def _tool(name: str) -> Tool:
    module, _, attribute = TOOLS[name][0].partition(":")
    found = getattr(import_module(module), attribute)
    if callable(found):
        return cast("Tool", found)
    return cast("Tool", import_module(module).acting(found))


@click.group(epilog="Example: armillary condor install ~/condor-bin")
def condor() -> None:
    """Commands under HTCondor's names, for the habit and for programs that drive HTCondor."""


@condor.command(epilog="Example: armillary condor install ~/condor-bin        (then put it into PATH)")
@argument("directory", type=click.Path(file_okay=False, path_type=Path))
@option("--overwrite", is_flag=True, help="Also over files that are something else.")
def install(directory: Path, overwrite: bool) -> None:
    """Write commands with HTCondor's names into a directory, so that they stand in for HTCondor where you want them.

    They are not installed by themselves: on a machine that has HTCondor they would hide it.
    """
    write_tools(directory, TOOLS, overwrite=overwrite)
    say(
        f"{len(TOOLS)} commands are in {directory}. Use them: export PATH={shlex.quote(str(directory))}:$PATH"
    )


def _add(name: str) -> None:
    _, says, example = TOOLS[name]

    @condor.command(
        name.removeprefix("condor_"),
        help=f"{says} Options are HTCondor's, with one dash.",
        epilog=f"Example: armillary condor {name.removeprefix('condor_')} {example}",
        # -h is how -hold begins, not a cry for help
        context_settings={
            "ignore_unknown_options": True,
            "allow_interspersed_args": False,
            "help_option_names": [],
        },
    )
    @argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def tool(arguments: tuple[str, ...]) -> None:
        context().exit(run(name, arguments))

    assert tool


for _name in TOOLS:
    _add(_name)
