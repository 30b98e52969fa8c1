"""`armillary share`: links for people without an account."""

from __future__ import annotations

import rich_click as click

from armillary.cli.output import Columns, Record, at, emit, emit_one, say, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, option


def _fetched(record: Record) -> str:
    return f"{record['used']} of {record['most']}" if record["most"] else str(record["used"])


@click.group(epilog="Example: armillary share make /home/ada/m51.fits --days 7")
def share() -> None:
    """Links with which people without an account fetch a file or a folder."""


@share.command(epilog="Example: armillary share make /home/ada/run-7 --days 30 --most 100")
@argument("path")
@option(
    "--days",
    type=click.FloatRange(0, 366, min_open=True),
    default=7,
    show_default=True,
    help="How long it is good for.",
)
@option("--most", type=click.IntRange(1, 1_000_000), help="How many downloads it is good for.")
@option("--no-list", is_flag=True, help="Of a folder show nothing; it is fetched whole, as a zip.")
@voices
def make(path: str, days: float, most: int | None, no_list: bool) -> None:
    """Make a link to a file or a folder in VOSpace, such as /home/ada/m51.fits.

    Whoever has its address may fetch what is behind it, until the link ends or you revoke it.
    """
    from armillary.client.sharing import Sharing

    if path.startswith("vos:"):
        path = path.removeprefix("vos:")
    with connect() as http:
        made = Sharing(http=http).make(path, days=days, most=most, lists=not no_list)
    fields: Columns = [
        ("Address", "url"),
        ("Shared", "path"),
        ("Until", at("expires_at")),
        ("Link", "id"),
    ]
    emit_one(made, fields=fields, identity="url")


@share.command("list", epilog="Example: armillary share list")
@voices
def list_links() -> None:
    """List the links that you made, those that have ended too, for a month."""
    from armillary.client.sharing import Sharing

    with connect() as http:
        found = Sharing(http=http).links()
    columns: Columns = [
        ("LINK", "id"),
        ("SHARED", "path"),
        ("OPEN", lambda record: "yes" if record["is_open"] else "no"),
        ("UNTIL", at("expires_at")),
        ("FETCHED", _fetched),
        ("LAST", at("used_at")),
        ("ADDRESS", lambda record: record["url"] or ""),
    ]
    emit(found, columns=columns, identity="id", empty="You have shared nothing by a link.")


@share.command(epilog="Example: armillary share revoke 5f3c…")
@argument("link_id", metavar="LINK")
def revoke(link_id: str) -> None:
    """Take a link back: it opens nothing from now on."""
    from armillary.client.sharing import Sharing

    with connect() as http:
        Sharing(http=http).revoke(link_id)
    say("The link is revoked.")
