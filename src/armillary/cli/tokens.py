"""`armillary token`: tokens for scripts."""

from __future__ import annotations

import rich_click as click

from armillary.cli.output import Columns, at, emit, emit_one, say, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, option


@click.group(epilog="Example: armillary token create --label pipeline --days 30")
def token() -> None:
    """Tokens that let scripts act as you."""


@token.command("list", epilog="Example: armillary token list")
@voices
def list_tokens() -> None:
    """List your tokens; their secrets are not kept."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        found = Accounts(http=http).tokens()
    columns: Columns = [
        ("TOKEN", "id"),
        ("KIND", "kind"),
        ("LABEL", "label"),
        ("SCOPES", lambda record: " ".join(record["scopes"])),
        ("EXPIRES", at("expires_at")),
        ("REVOKED", at("revoked_at")),
        ("LAST USED", at("last_used_at")),
    ]
    emit(found, columns=columns, identity="id", empty="You have no tokens.")


@token.command(epilog="Example: ARMILLARY_TOKEN=$(armillary token create --label cron --days 30 --quiet)")
@option("--label", required=True, help="To know it again.")
@option("--days", type=click.IntRange(1, 366), default=90, show_default=True, help="How long it is good for.")
@option("--project", metavar="NAME", help="Limit it to this project.")
@option(
    "--scope", "scopes", multiple=True, help="Limit it to this scope, such as batch:write. May be repeated."
)
@voices
def create(label: str, days: int, project: str | None, scopes: tuple[str, ...]) -> None:
    """Make a token. Its secret is shown this once."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        made = Accounts(http=http).make_token(label=label, days=days, project=project, scopes=list(scopes))
    fields: Columns = [("Secret", "token"), ("Token", "id"), ("Expires", at("expires_at"))]
    emit_one(made, fields=fields, identity="token")


@token.command(epilog="Example: armillary token revoke 5f3c…")
@argument("token_id", metavar="TOKEN")
def revoke(token_id: str) -> None:
    """Revoke a token, from now on."""
    from armillary.client.accounts import Accounts

    with connect() as http:
        Accounts(http=http).revoke_token(token_id)
    say("The token is revoked.")
