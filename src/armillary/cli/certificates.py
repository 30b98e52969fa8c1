"""`armillary cert`: your client certificates."""

from __future__ import annotations

import rich_click as click

from armillary.base.errors import Invalid
from armillary.cli.output import Columns, at, emit, say, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, option


@click.group(epilog="Example: armillary cert list")
def cert() -> None:
    """Client certificates, which cadc-get-cert brings."""


@cert.command("list", epilog="Example: armillary cert list")
@voices
def list_certificates() -> None:
    """List your certificates, newest first."""
    from armillary.client.groups import Certificates

    with connect() as http:
        found = Certificates(http=http).certificates()
    columns: Columns = [
        ("SERIAL", "serial"),
        ("ISSUED", at("issued_at")),
        ("BY", "issued_by"),
        ("EXPIRES", at("expires_at")),
        ("REVOKED", at("revoked_at")),
    ]
    emit(found, columns=columns, identity="serial", empty="You have no certificates.")


@cert.command(epilog="Example: armillary cert revoke --all")
@argument("serial", required=False)
@option("--all", "every", is_flag=True, help="All of yours; running jobs keep theirs.")
def revoke(serial: str | None, every: bool) -> None:
    """Revoke a certificate, or all of yours, from now on."""
    from armillary.client.groups import Certificates

    if every == (serial is not None):
        raise Invalid(
            "Which certificate?", code="nobody_named", remedy="Name a SERIAL, or --all, and not both."
        )
    with connect() as http:
        Certificates(http=http).revoke(serial)
    say("The certificate is revoked." if serial else "All your certificates are revoked.")
