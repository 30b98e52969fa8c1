"""`armillary admin announce`: what everybody is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import rich_click as click

from armillary.cli.administering import admin
from armillary.cli.output import Columns, at, emit, emit_one, say, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, option

_LEVELS = click.Choice(["info", "warning", "outage"])
_COLUMNS: Columns = [
    ("ANNOUNCEMENT", "id"),
    ("LEVEL", "level"),
    ("SINCE", at("since")),
    ("UNTIL", at("until")),
    ("BY", "made_by"),
    ("TEXT", lambda record: record["en"].splitlines()[0][:60] if record["en"] else ""),
]


@admin.group(epilog="Example: armillary admin announce list")
def announce() -> None:
    """What everybody is told, on each page of the portal."""


@announce.command("list", epilog="Example: armillary admin announce list --all")
@option("--all", "everything", is_flag=True, help="Those that are over or are to come, too.")
@voices
def list_announcements(everything: bool) -> None:
    """List what everybody is told now."""
    from armillary.client.notices import NoticeBook

    with connect() as http:
        found = NoticeBook(http=http).announcements(everything=everything)
    emit(found, columns=_COLUMNS, identity="id", empty="Nothing is announced.")


@announce.command(
    epilog="Example: armillary admin announce make --en 'No cloud on Monday.' --fr 'Pas de nuage lundi.' "
    "--level outage --hours 48"
)
@option("--en", required=True, metavar="TEXT", help="In English.")
@option("--fr", required=True, metavar="TEXT", help="In French.")
@option("--level", type=_LEVELS, default="info", show_default=True, help="How much it matters.")
@option("--since", metavar="MOMENT", help="From when, such as 2026-12-01T08:00 (your time); else from now.")
@option("--until", metavar="MOMENT", help="Until when.")
@option("--hours", type=click.FloatRange(0, 8784, min_open=True), help="Or for how long.")
@option("--notify", is_flag=True, help="Everybody gets a notice, too.")
@voices
def make(
    *, en: str, fr: str, level: str, since: str | None, until: str | None, hours: float | None, notify: bool
) -> None:
    """Tell everybody something, in both languages."""
    from armillary.client.notices import NoticeBook

    if (until is None) == (hours is None):
        raise click.UsageError("Say --until MOMENT, or --hours N.")
    begin = _moment(since, "--since") if since else datetime.now(UTC)
    end = _moment(until, "--until") if until else begin + timedelta(hours=hours or 0)
    with connect() as http:
        made = NoticeBook(http=http).announce(
            en=en,
            fr=fr,
            level=level,
            since=begin.isoformat() if since else None,
            until=end.isoformat(),
            notify=notify,
        )
    fields: Columns = [("Announcement", "id"), ("Since", at("since")), ("Until", at("until"))]
    emit_one(made, fields=fields, identity="id")


@announce.command(epilog="Example: armillary admin announce end 5f3c…")
@argument("announcement_id", metavar="ANNOUNCEMENT")
def end(announcement_id: str) -> None:
    """End an announcement now."""
    from armillary.client.notices import NoticeBook

    with connect() as http:
        NoticeBook(http=http).end(announcement_id)
    say("It is over.")


def _moment(text: str, name: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise click.UsageError(f"{name} is a moment such as 2026-12-01T08:00.") from error
