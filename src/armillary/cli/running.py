"""`armillary admin`, second half: people, and clouds that take no new workers."""

from __future__ import annotations

from typing import Any

from armillary.cli.administering import admin
from armillary.cli.output import Columns, at, emit, say, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, option


@admin.command(epilog="Example: armillary admin people")
@voices
def people() -> None:
    """List everybody."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        found = Accounts(http=http).people()
    columns: Columns = [
        ("USER", "user_name"),
        ("NAME", "full_name"),
        ("E-MAIL", "email"),
        ("STATE", lambda record: "enabled" if record["enabled"] else "disabled"),
        ("ADMINISTRATOR", lambda record: "yes" if record["is_admin"] else ""),
    ]
    emit(found, columns=columns, identity="user_name")


def _change(user: str, **changes: bool) -> None:
    from armillary.client.accounts import Accounts

    with connect() as http:
        Accounts(http=http).change_person(user, **changes)


@admin.command(epilog="Example: armillary admin disable kent")
@argument("user")
def disable(user: str) -> None:
    """Let somebody sign in no more; every credential of theirs stops at once."""
    _change(user, enabled=False)
    say(f"{user} is disabled.")


@admin.command(epilog="Example: armillary admin enable kent")
@argument("user")
def enable(user: str) -> None:
    """Let somebody sign in again."""
    _change(user, enabled=True)
    say(f"{user} is enabled.")


@admin.command(epilog="Example: armillary admin promote vera")
@argument("user")
def promote(user: str) -> None:
    """Make somebody an administrator of the platform."""
    _change(user, is_admin=True)
    say(f"{user} administers the platform.")


@admin.command(epilog="Example: armillary admin demote vera")
@argument("user")
def demote(user: str) -> None:
    """Make an administrator an ordinary person again."""
    _change(user, is_admin=False)
    say(f"{user} is an ordinary person.")


@admin.command(epilog="Example: armillary admin drain east --reason 'new disks on Monday'")
@argument("cloud")
@option("--reason", default="", help="Those who wait read it.")
def drain(cloud: str, reason: str) -> None:
    """Boot no new workers on a cloud. Those that are there finish their jobs."""
    from armillary.client.batch import Batch

    with connect() as http:
        Batch(http=http).drain(cloud, reason=reason)
    say(f"No new workers boot on {cloud}.")


@admin.command(epilog="Example: armillary admin resume east")
@argument("cloud")
def resume(cloud: str) -> None:
    """Let workers boot on a cloud again."""
    from armillary.client.batch import Batch

    with connect() as http:
        Batch(http=http).resume(cloud)
    say(f"Workers boot on {cloud} again.")


@admin.command(epilog="Example: armillary admin drained")
@voices
def drained() -> None:
    """List the clouds on which no new workers boot."""
    from armillary.client.batch import Batch

    with connect() as http:
        found: list[dict[str, Any]] = Batch(http=http).drained()
    columns: Columns = [("CLOUD", "cloud"), ("SINCE", at("since")), ("BY", "by"), ("REASON", "reason")]
    emit(found, columns=columns, identity="cloud", empty="Workers boot on every cloud.")
