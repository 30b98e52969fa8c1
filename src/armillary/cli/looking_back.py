"""`armillary admin trail` and `unrecorded`: who did what, and which jobs could not be written down."""

from __future__ import annotations

import rich_click as click

from armillary.cli.administering import admin
from armillary.cli.output import Columns, at, emit, say, voices
from armillary.cli.session import connect
from armillary.cli.words import option


@admin.command(epilog="Example: armillary admin trail --who vera --since 2026-11-01 --refused")
@option("--who", metavar="USER", help="What this person did.")
@option("--words", metavar="TEXT", help="With this in what was done, or to what.")
@option("--origin", metavar="ADDRESS", help="From this network address.")
@option("--refused/--done", default=None, help="Only what was refused, or only what was done.")
@option("--since", metavar="DAY", help="The first day, such as 2026-11-01 (UTC).")
@option("--until", metavar="DAY", help="The last day.")
@option(
    "--most", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many, the newest."
)
@voices
def trail(
    *,
    who: str | None,
    words: str | None,
    origin: str | None,
    refused: bool | None,
    since: str | None,
    until: str | None,
    most: int,
) -> None:
    """Show who did what, the newest first."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        found = Accounts(http=http).trail(
            most=most, who=who, words=words, origin=origin, refused=refused, since=since, until=until
        )
    columns: Columns = [
        ("WHEN", at("at")),
        ("WHO", "who"),
        ("DID", "act"),
        ("TO", "target"),
        ("CHANGED", "said"),
        ("FROM", "origin"),
        ("STATUS", "status"),
    ]
    emit(found, columns=columns, identity="id", empty="There are no such entries.")


@admin.command(epilog="Example: armillary admin unrecorded")
@option("--most", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many, the oldest.")
@voices
def unrecorded(most: int) -> None:
    """List jobs that ended and of which no record can be made, and why. They are tried again when the platform starts."""
    from armillary.client.provenance import Provenance

    with connect() as http:
        found = Provenance(http=http).gaps(most)
    columns: Columns = [("JOB", "job"), ("ATTEMPT", "attempt"), ("TRIED", at("at")), ("REASON", "reason")]
    emit(found["gaps"], columns=columns, identity="job", empty="Each job that ran has its record.")
    if found["count"] > len(found["gaps"]):
        say(f"{found['count'] - len(found['gaps'])} more are not shown: --most")
