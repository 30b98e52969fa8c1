"""`armillary login` and `logout`."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from armillary.cli.output import emit_one, read_password, say, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, option
from armillary.client import config as settings
from armillary.client.errors import ClientError, Unreachable

if TYPE_CHECKING:
    from armillary.client.accounts import Accounts


@click.command(epilog="Example: armillary login vera --url https://cloud.example.org:8443 --ca ca.pem")
@argument("user", required=False)
@option("--url", metavar="URL", help="Where the platform is.")
@option(
    "--ca", type=click.Path(exists=True, dir_okay=False), help="The platform's certificate authority (PEM)."
)
@option("--trust", is_flag=True, help="Accept the server's own certificate; its fingerprint is shown.")
@option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@option("--code", help="Of the second factor, where that is on; else it is asked for.")
@voices
def login(
    user: str | None, url: str | None, ca: str | None, trust: bool, password_stdin: bool, code: str | None
) -> None:
    """Sign in, and keep a token for the commands that follow."""
    from armillary.client.accounts import Accounts

    config = settings.load()
    if url and url.rstrip("/") != config.url:
        config = settings.Config(url=url.rstrip("/"))
    if ca:
        config = replace(config, ca=str(Path(ca).resolve()))
    config = _trusted(config, accept=trust)
    user = user or config.user or click.prompt("User name", err=True)
    password = read_password(from_stdin=password_stdin)
    with connect(config=config, signed_in=False) as http:
        made = _traded(Accounts(http=http), user, password, code)
    config = replace(config, token=made["token"], user=user)
    with connect(config=config) as http:
        names = [project["name"] for project in Accounts(http=http).projects()]
    project = config.project if config.project in names else None
    config = replace(config, project=project or (names[0] if len(names) == 1 else None))
    settings.save(config)
    say(f"Signed in to {config.url} until {made['expires_at'][:10]}.")
    shown = {"user": user, "url": config.url, "project": config.project, "expires_at": made["expires_at"]}
    emit_one(shown, fields=[("User", "user"), ("Project", "project")], identity="user")


@click.command(epilog="Example: armillary password")
@option("--stdin", is_flag=True, help="Read the old and the new password from standard input, a line each.")
def password(stdin: bool) -> None:
    """Change your password. It ends your sign-ins elsewhere; running jobs go on."""
    from armillary.client.accounts import Accounts

    if not stdin:
        say("The old one first, then the new one twice.")
    old = read_password(from_stdin=stdin)
    new = read_password(from_stdin=stdin, confirm=True)
    with connect() as http:
        Accounts(http=http).change_password(old=old, new=new)
    say("Your password is changed.")


@click.command(epilog="Example: armillary logout")
def logout() -> None:
    """Revoke the token that is kept here, and forget it."""
    from armillary.client.accounts import Accounts

    config = settings.load()
    try:
        with connect(config=config) as http:
            Accounts(http=http).logout()
    finally:
        settings.save(replace(config, token=None))
    say("Signed out.")


def _traded(accounts: Accounts, user: str, password: str, code: str | None) -> dict[str, Any]:
    """Trade the password for a token; ask for the code of a second factor when one is needed and none was given."""
    label = f"armillary on {socket.gethostname()}"
    try:
        return accounts.login(user_name=user, password=password, label=label, code=code)
    except ClientError as error:
        if error.code != "second_factor_needed" or not sys.stdin.isatty():
            raise
    code = click.prompt("Code of your second factor", err=True)
    return accounts.login(user_name=user, password=password, label=label, code=code)


def _trusted(config: settings.Config, *, accept: bool) -> settings.Config:
    """Return settings whose server can be verified, after asking for trust on first use where it cannot."""
    try:
        with connect(config=config, signed_in=False) as http:
            http.read_bytes("/healthz")
    except Unreachable as error:
        if error.code != "untrusted_certificate":
            raise
        return _trust_on_first_use(config, error, accept=accept)
    return config


def _trust_on_first_use(config: settings.Config, error: Unreachable, *, accept: bool) -> settings.Config:
    from armillary.client.trusting import certificate_of

    pem, fingerprint = certificate_of(config.url)
    say(
        f"{config.url} shows a certificate that nobody vouches for. Its SHA-256 fingerprint is\n  {fingerprint}"
    )
    if not accept and not (sys.stdin.isatty() and click.confirm("Is it the right one?", err=True)):
        raise error
    place = (
        settings.config_file().parent
        / f"{config.url.partition('://')[2].replace(':', '_').replace('/', '_')}.pem"
    )
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(pem)
    return replace(config, ca=str(place))
