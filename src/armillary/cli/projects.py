"""`armillary project`: your projects and who is in them."""

from __future__ import annotations

from dataclasses import replace

import rich_click as click

from armillary.cli.allocations import render
from armillary.cli.output import Columns, emit, emit_one, say, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, option
from armillary.client import config as settings

_MEMBERS: Columns = [("USER", "user_name"), ("NAME", "full_name"), ("ROLE", "role")]
_ROLES = click.Choice(["reader", "member", "manager", "admin"])


@click.group(epilog="Example: armillary project list")
def project() -> None:
    """Projects, their members, and your default one."""


@project.command("list", epilog="Example: armillary project list")
@option("--all", "everybodys", is_flag=True, help="Everybody's, for administrators.")
@voices
def list_projects(everybodys: bool) -> None:
    """List your projects."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        found = Accounts(http=http).projects(everybodys=everybodys)
    chosen = settings.load().project
    columns: Columns = [
        ("", lambda record: "*" if record["name"] == chosen else ""),
        ("PROJECT", "name"),
        ("ROLE", "role"),
        ("ALLOCATION", lambda record: render(record["allocation"])),
    ]
    emit(found, columns=columns, identity="name", empty="You have no project yet. See: armillary application")


@project.command(epilog="Example: armillary project show rotation")
@argument("name")
@voices
def show(name: str) -> None:
    """Show a project."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        found = Accounts(http=http).project(name)
    fields: Columns = [
        ("Project", "name"),
        ("Id", "id"),
        ("Your role", "role"),
        ("Allocation", lambda record: render(record["allocation"])),
        ("Description", "description"),
    ]
    emit_one(found, fields=fields, identity="id")


@project.command(epilog="Example: armillary project use rotation")
@argument("name")
def use(name: str) -> None:
    """Make a project the default for commands that need one."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        Accounts(http=http).project(name)
    settings.save(replace(settings.load(), project=name))
    say(f"The default project is {name}.")


@project.command(epilog="Example: armillary project members rotation")
@argument("name")
@voices
def members(name: str) -> None:
    """List the members of a project."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        found = Accounts(http=http).members(name)
    emit(found, columns=_MEMBERS, identity="user_name")


@project.command(epilog="Example: armillary project add rotation kent --role member")
@argument("name")
@argument("user")
@option("--role", type=_ROLES, default="member", show_default=True)
@voices
def add(name: str, user: str, role: str) -> None:
    """Put a person into a project, or change their role."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        made = Accounts(http=http).set_member(name, user, role=role)
    emit([made], columns=_MEMBERS, identity="user_name")


@project.command(epilog="Example: armillary project remove rotation kent")
@argument("name")
@argument("user")
def remove(name: str, user: str) -> None:
    """Take a person out of a project."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        Accounts(http=http).remove_member(name, user)
    say(f"{user} is no longer in {name}.")
