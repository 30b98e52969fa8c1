"""`armillary admin`: decide on requests, help people who cannot sign in."""

from __future__ import annotations

import rich_click as click

from armillary.cli.allocations import APPLICATION_FIELDS, allocation_options, given, render
from armillary.cli.output import Columns, at, emit, emit_one, say, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, option
from armillary.client.config import load


@click.group(epilog="Example: armillary admin applications --state waiting")
def admin() -> None:
    """For administrators of the platform."""


@admin.command(epilog="Example: armillary admin applications --state waiting")
@option("--state", type=click.Choice(["waiting", "approved", "declined"]), help="Only these.")
@voices
def applications(state: str | None) -> None:
    """List requests for projects."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        found = Accounts(http=http).applications(state=state)
    columns: Columns = [
        ("APPLICATION", "id"),
        ("STATE", "state"),
        ("USER", "user_name"),
        ("PROJECT", "project_name"),
        ("ASKED FOR", lambda record: render(record["requested"])),
        ("SUBMITTED", at("submitted_at")),
    ]
    emit(found, columns=columns, identity="id", empty="There are no such requests.")


@admin.command(epilog="Example: armillary admin approve 5f3c… --cores 4 --batch-cores 8")
@argument("application_id", metavar="APPLICATION")
@allocation_options
@voices
def approve(application_id: str, **figures: int | None) -> None:
    """Approve a request; figures that you give replace those that were asked for."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        accounts = Accounts(http=http)
        changed = any(value is not None for value in figures.values())
        asked: dict[str, int] = accounts.application(application_id)["requested"] if changed else {}
        granted = given(figures, otherwise=asked) if changed else None
        decided = accounts.approve(application_id, granted=granted)
    emit_one(decided, fields=APPLICATION_FIELDS, identity="id")


@admin.command(epilog="Example: armillary admin decline 5f3c… --reason 'Please join project survey.'")
@argument("application_id", metavar="APPLICATION")
@option("--reason", required=True, help="The applicant reads it.")
@voices
def decline(application_id: str, reason: str) -> None:
    """Decline a request, with a reason."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        decided = Accounts(http=http).decline(application_id, reason=reason)
    emit_one(decided, fields=APPLICATION_FIELDS, identity="id")


@admin.command(epilog="Example: armillary admin allocate rotation --batch-cores 64")
@argument("project", metavar="PROJECT")
@allocation_options
@voices
def allocate(project: str, **figures: int | None) -> None:
    """Let a project use more, or less, from now on; figures that you do not give stay."""
    from armillary.client.accounts import Accounts

    if all(value is None for value in figures.values()):
        raise click.UsageError("Give at least one figure, such as --batch-cores 64.")
    with connect() as http:
        accounts = Accounts(http=http)
        allocation = given(figures, otherwise=accounts.project(project)["allocation"])
        changed = accounts.change_allocation(project, allocation)
    fields: Columns = [("Project", "name"), ("Allocation", lambda record: render(record["allocation"]))]
    emit_one(changed, fields=fields, identity="id")


@admin.command("reset-link", epilog="Example: armillary admin reset-link ada")
@argument("user")
@voices
def reset_link(user: str) -> None:
    """Make a link with which somebody sets a new password. It is good for an hour, once."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        made = Accounts(http=http).reset_link(user)
    link = f"{load().url}{made['path']}"
    emit_one({"user": user, "link": link}, fields=[("Link", "link")], identity="link")


@admin.command("second-factor-off", epilog="Example: armillary admin second-factor-off ada")
@argument("user")
def second_factor_off(user: str) -> None:
    """Turn somebody's second factor off whose device and recovery codes are lost."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        Accounts(http=http).clear_second_factor(user)
    say(f"The second factor of {user} is off.")
