"""`armillary group`: groups to share with."""

from __future__ import annotations

from typing import Any, Literal

import rich_click as click

from armillary.base.errors import Invalid
from armillary.cli.output import Columns, Record, at, emit, emit_one, say, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, option

_FIELDS: Columns = [
    ("Group", "name"),
    ("Description", "description"),
    ("Owner", lambda record: record["owner"] or ("a project" if record["is_project"] else "the platform")),
    ("Members", lambda record: _people(record, "members")),
    ("Member groups", lambda record: ", ".join(record["member_groups"])),
    ("Administrators", lambda record: _people(record, "admins")),
    ("Administering groups", lambda record: ", ".join(record["admin_groups"])),
    ("Changed", at("changed_at")),
]


def _whom(command: Any) -> Any:
    """Give a command what says which group, and whom; they come as keywords for `_move`."""
    decorators = (
        argument("name"),
        argument("users", nargs=-1),
        option("--group", "inner", multiple=True, metavar="GROUP", help="A group, with all in it."),
        option("--admin", is_flag=True, help="As administrators, who may change the group."),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def _people(record: Record, place: str) -> str:
    return ", ".join(person["user_name"] for person in record[place])


@click.group(epilog="Example: armillary group create m51-team")
def group() -> None:
    """Groups of people. What you share with a group, its members can reach."""


@group.command("list", epilog="Example: armillary group list --role owner")
@option("--role", type=click.Choice(["member", "admin", "owner"]), default="member", show_default=True)
@option("--all", "everybodys", is_flag=True, help="All groups, for administrators.")
@voices
def list_groups(role: str, everybodys: bool) -> None:
    """List the groups that you are in, look after, or own."""
    from armillary.client.groups import Groups

    with connect() as http:
        found = Groups(http=http).groups(role=role, everybodys=everybodys)
    columns: Columns = [
        ("GROUP", "name"),
        ("OWNER", lambda record: record["owner"] or ("project" if record["is_project"] else "platform")),
        ("DESCRIPTION", "description"),
    ]
    emit(found, columns=columns, identity="name", empty="You are in no group.")


@group.command(epilog="Example: armillary group show m51-team")
@argument("name")
@voices
def show(name: str) -> None:
    """Show a group and who is in it."""
    from armillary.client.groups import Groups

    with connect() as http:
        found = Groups(http=http).group(name)
    emit_one(found, fields=_FIELDS, identity="name")


@group.command(epilog="Example: armillary group create m51-team --description 'Catalogues of M51'")
@argument("name")
@option("--description", default="", help="What it is for.")
@option("--empty", is_flag=True, help="Do not become its first member.")
@voices
def create(name: str, description: str, empty: bool) -> None:
    """Make a group that you own. Its name is yours for ever: nobody else gets it."""
    from armillary.client.groups import Groups

    with connect() as http:
        made = Groups(http=http).create(name, description=description, join=not empty)
    emit_one(made, fields=_FIELDS, identity="name")


@group.command(epilog="Example: armillary group describe m51-team 'Catalogues of M51'")
@argument("name")
@argument("description")
def describe(name: str, description: str) -> None:
    """Say what a group is for."""
    from armillary.client.groups import Groups

    with connect() as http:
        Groups(http=http).describe(name, description)
    say(f"The description of {name} is changed.")


@group.command(epilog="Example: armillary group add m51-team kent vera --group radio-team")
@_whom
def add(**whom: Any) -> None:
    """Put people and groups into a group."""
    _move("put", "in", **whom)


@group.command(epilog="Example: armillary group remove m51-team kent")
@_whom
def remove(**whom: Any) -> None:
    """Take people and groups out of a group. They lose access at once; you can take yourself out."""
    _move("drop", "no longer in", **whom)


@group.command(epilog="Example: armillary group delete m51-team")
@argument("name")
def delete(name: str) -> None:
    """Delete a group. What was shared with it is not, and its name is never given again."""
    from armillary.client.groups import Groups

    with connect() as http:
        Groups(http=http).delete(name)
    say(f"The group {name} is deleted.")


def _move(
    step: Literal["put", "drop"],
    where: str,
    *,
    name: str,
    users: tuple[str, ...],
    inner: tuple[str, ...],
    admin: bool,
) -> None:
    """Do the same with each of the people and groups, as members or administrators."""
    if not users and not inner:
        raise Invalid("Nobody is named.", code="nobody_named", remedy="Name users, or groups with --group.")
    from armillary.client.groups import Groups

    place = "admins" if admin else "members"
    with connect() as http:
        groups = Groups(http=http)
        act = groups.put if step == "put" else groups.drop
        for user in users:
            act(name, place, "people", user)
        for one in inner:
            act(name, place, "groups", one)
    are = "are" if len(users) + len(inner) > 1 else "is"
    say(f"{', '.join((*users, *inner))} {are} {where} {name}.")
