"""Which jobs a command is about: names of clusters, jobs and parts of clusters, and causes of failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import rich_click as click

from armillary.base.errors import Invalid
from armillary.cli.completing import complete_targets
from armillary.cli.words import argument, option
from armillary.client import config as settings

if TYPE_CHECKING:
    from armillary.client.http import Armillary

STATES = ["idle", "claimed", "running", "completed", "held", "removed"]
_CAUSES = ("states", "hold_codes", "exit_codes", "signals")

job_argument = argument("name", metavar="JOB", shell_complete=complete_targets)
targets_argument = argument(
    "targets", nargs=-1, metavar="[CLUSTER|JOB|JOB-LAST]…", shell_complete=complete_targets
)


def choices(command: Any) -> Any:
    """Give a command the arguments and options that choose jobs; they come as keywords for `selections`."""
    decorators = (
        targets_argument,
        option("--mine", is_flag=True, help="All of mine, in all clusters."),
        option("--state", "states", type=click.Choice(STATES), multiple=True, help="Only in this state."),
        option("--failed", is_flag=True, help="Only those that ended without success."),
        option(
            "--hold-code",
            "hold_codes",
            multiple=True,
            help="Only held for this: a name, or HTCondor's number.",
        ),
        option("--exit-code", "exit_codes", type=int, multiple=True, help="Only those that ended so."),
        option("--signal", "signals", type=int, multiple=True, help="Only those that a signal ended."),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def selections(http: Armillary, *, targets: Sequence[str], mine: bool, **causes: Any) -> list[dict[str, Any]]:
    """Return what was chosen, in the shapes of the wire: one for each target. Raises Invalid when nothing is named."""
    from armillary.client.targets import read_targets

    narrowed = {name: list(causes[name]) for name in _CAUSES if causes.get(name)}
    narrowed |= {"failed": True} if causes.get("failed") else {}
    found = [target.selection() | narrowed for target in read_targets(targets)]
    if mine:
        found.append({"owner": who_am_i(http)} | narrowed)
    if not found:
        raise Invalid(
            "no jobs are named",
            code="nothing_chosen",
            remedy="Name clusters (12), jobs (13.4) or parts of clusters (14.0-99), or say --mine.",
        )
    return found


def who_am_i(http: Armillary) -> str:
    """Return our user name: the one that we signed in with, or whose token this is."""
    from armillary.client.accounts import Accounts

    return settings.load().user or str(Accounts(http=http).me()["user_name"])
