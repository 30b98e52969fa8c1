"""`armillary notices`: what you were told, and where you want to be told of what."""

from __future__ import annotations

import rich_click as click

from armillary.cli.output import Columns, Record, Voice, at, emit, emit_one, say, voice, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, option

_CHANNELS = click.Choice(["page", "mail", "url"])


@click.group(epilog="Example: armillary notices list --unread")
def notices() -> None:
    """What you were told, and where you want to be told of what."""


@notices.command("list", epilog="Example: armillary notices list --unread")
@option("--unread", is_flag=True, help="Only those that you have not read.")
@option("--most", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many, the newest.")
@voices
def list_notices(unread: bool, most: int) -> None:
    """List what you were told, the newest first."""
    from armillary.client.notices import NoticeBook

    with connect() as http:
        found = NoticeBook(http=http).notices(most=most)
    if unread:
        found = [one for one in found if one["read_at"] is None]
    columns: Columns = [
        ("NOTICE", "id"),
        ("WHEN", at("at")),
        ("READ", lambda one: "yes" if one["read_at"] else "no"),
        ("WHAT", "text"),
    ]
    emit(found, columns=columns, identity="id", empty="There is nothing to tell you.")


@notices.command(epilog="Example: armillary notices read --all")
@argument("notice", required=False)
@option("--all", "everything", is_flag=True, help="All of them.")
@option("--not", "unread", is_flag=True, help="Mark as not read.")
def read(notice: str | None, everything: bool, unread: bool) -> None:
    """Mark a notice as read, or all."""
    from armillary.client.notices import NoticeBook

    if everything == (notice is not None):
        raise click.UsageError("Name a notice, or say --all.")
    with connect() as http:
        NoticeBook(http=http).mark_read(notice, read=not unread)
    say("They are marked." if everything else "It is marked.")


@notices.command(epilog="Example: armillary notices prefer expiring --by page --by mail")
@argument("kind", required=False)
@option("--by", multiple=True, type=_CHANNELS, help="Where to be told of it; give it again for more.")
@option("--never", is_flag=True, help="Nowhere.")
@option("--url", metavar="URL", help="Where POSTs go; empty: nowhere.")
@voices
def prefer(kind: str | None, by: tuple[str, ...], never: bool, url: str | None) -> None:
    """Choose where you are told of a KIND, or where POSTs go; without either, show what you chose."""
    from armillary.client.notices import NoticeBook

    if kind is not None and bool(by) == never:
        raise click.UsageError("Say --by page, mail or url, or --never.")
    if kind is None and (by or never):
        raise click.UsageError("Name the KIND of notice.")
    with connect() as http:
        book = NoticeBook(http=http)
        if kind is None and url is None:
            wanted = book.wishes()
        else:
            wanted = book.choose(channels={kind: by} if kind else {}, url=url)
    _show(wanted)


def _show(wanted: Record) -> None:
    if voice() is Voice.JSON:
        emit_one(wanted, fields=[], identity="url")
        return
    rows = [{"kind": kind, "by": " ".join(there)} for kind, there in wanted["channels"].items()]
    emit(rows, columns=[("KIND", "kind"), ("BY", "by")], identity="kind")
    if wanted["url"]:
        say(f"POSTs go to {wanted['url']}.")
    if "mail" not in wanted["sends"]:
        say("This platform sends no mail.")
