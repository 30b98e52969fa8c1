"""`armillary register` and `application`: an account, a project, and how the request stands."""

from __future__ import annotations

import rich_click as click

from armillary.cli.allocations import APPLICATION_FIELDS, DEFAULTS, allocation_options, given
from armillary.cli.output import Voice, emit, emit_one, read_password, say, voice, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, option


@click.command(
    epilog="Example: armillary register vera --name 'Vera Rubin' --email vera@example.org --institute DTM "
    "--project rotation --cores 8 --ram 16GiB --reason 'Rotation curves of spirals'"
)
@argument("user")
@option("--name", required=True, help="Your full name.")
@option("--email", required=True)
@option("--institute", required=True)
@option("--project", "project_name", required=True, help="A name for your first project.")
@option("--reason", required=True, help="A sentence of what it is for.")
@allocation_options
@option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@voices
def register(
    user: str,
    name: str,
    email: str,
    institute: str,
    project_name: str,
    reason: str,
    password_stdin: bool,
    **figures: int | None,
) -> None:
    """Make an account and ask for a project with an allocation."""
    from armillary.client.accounts import Accounts

    password = read_password(from_stdin=password_stdin, confirm=True)
    person = {
        "user_name": user,
        "full_name": name,
        "email": email,
        "institute": institute,
        "password": password,
    }
    wish = {"project_name": project_name, "requested": given(figures, otherwise=DEFAULTS), "reason": reason}
    with connect(signed_in=False) as http:
        made = Accounts(http=http).register({**person, **wish})
    say(
        "Your request is waiting for an administrator. Sign in (armillary login), then: armillary application"
    )
    emit_one(made, fields=APPLICATION_FIELDS, identity="id")


@click.group(invoke_without_command=True, epilog="Example: armillary application")
@voices
@click.pass_context
def application(context: click.Context) -> None:
    """Show how your requests for projects stand."""
    if context.invoked_subcommand:
        return
    from armillary.client.accounts import Accounts

    with connect() as http:
        mine = Accounts(http=http).me()["applications"]
    if voice() is not Voice.TABLE or not mine:
        emit(mine, columns=[], identity="id", empty="You have made no request.")
        return
    for number, one in enumerate(mine):
        if number:
            click.echo()
        emit_one(one, fields=APPLICATION_FIELDS, identity="id")


@application.command(
    epilog="Example: armillary application more survey --batch-cores 64 --reason 'DR3 has twice as much'"
)
@argument("project", metavar="PROJECT")
@option("--reason", required=True, help="A sentence of what it is for.")
@allocation_options
@voices
def more(project: str, reason: str, **figures: int | None) -> None:
    """Ask for more for a project that you have; figures that you do not give stay."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        accounts = Accounts(http=http)
        wish = given(figures, otherwise=accounts.project(project)["allocation"])
        made = accounts.more(project, requested=wish, reason=reason)
    emit_one(made, fields=APPLICATION_FIELDS, identity="id")


@application.command(
    "request", epilog="Example: armillary application request survey --cores 16 --reason 'DR2'"
)
@argument("project_name", metavar="PROJECT")
@option("--reason", required=True, help="A sentence of what it is for.")
@allocation_options
@voices
def request(project_name: str, reason: str, **figures: int | None) -> None:
    """Ask for one more project."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        wish = given(figures, otherwise=DEFAULTS)
        made = Accounts(http=http).apply(project_name=project_name, requested=wish, reason=reason)
    emit_one(made, fields=APPLICATION_FIELDS, identity="id")
