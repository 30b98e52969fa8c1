"""`armillary group`: groups to share with."""

from __future__ import annotations

from typing import Any, Literal

import rich_click as click

from armillary.base.errors import Invalid
from armillary.cli.output import Columns, Record, at, emit, emit_one, say, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, option
from armillary.client import config as settings

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


@group.command(epilog="Example: armillary group invite m51-team --days 30 --uses 5")
@argument("name")
@option("--days", type=click.IntRange(1, 90), default=7, show_default=True, help="That it is good for.")
@option(
    "--uses", type=click.IntRange(1, 10_000), default=1, show_default=True, help="People whom it lets in."
)
@option("--any", "anybody", is_flag=True, help="As many as come before it expires.")
@option("--admin", is_flag=True, help="As administrators, who may change the group.")
@voices
def invite(name: str, days: int, uses: int, anybody: bool, admin: bool) -> None:
    """Make a link into a group. It is shown this once."""
    from armillary.client.groups import Groups

    place = "admins" if admin else "members"
    with connect() as http:
        made = Groups(http=http).invite(name, place=place, days=days, uses=None if anybody else uses)
    made["link"] = f"{settings.load().url}{made['path']}"
    emit_one(made, fields=[("Link", "link"), ("Expires", at("expires_at"))], identity="link")


@group.command(epilog="Example: armillary group invitations m51-team")
@argument("name")
@voices
def invitations(name: str) -> None:
    """List the links into a group that can still be used."""
    from armillary.client.groups import Groups

    with connect() as http:
        found = Groups(http=http).invitations(name)
    columns: Columns = [
        ("INVITATION", "id"),
        ("AS", "place"),
        ("BY", "made_by"),
        ("EXPIRES", at("expires_at")),
        ("USED", "used"),
        ("LEFT", lambda record: "any" if record["uses_left"] is None else str(record["uses_left"])),
    ]
    emit(found, columns=columns, identity="id", empty="There is no invitation.")


@group.command("uninvite", epilog="Example: armillary group uninvite m51-team 5f3c…")
@argument("name")
@argument("invitation")
def uninvite(name: str, invitation: str) -> None:
    """Take a link into a group back."""
    from armillary.client.groups import Groups

    with connect() as http:
        Groups(http=http).take_back(name, invitation)
    say("The link leads nowhere now.")


@group.command(epilog="Example: armillary group join https://cloud.example.org:8443/join/…")
@argument("link")
def join(link: str) -> None:
    """Come into the group of a link that you were sent."""
    from armillary.client.groups import Groups

    with connect() as http:
        joined = Groups(http=http).accept(link.rstrip("/").rpartition("/")[2])
    say(f"You are in {joined['group']}.")


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
