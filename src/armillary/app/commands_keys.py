"""`armillary signing-key`: the key with which this platform signs records of jobs."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import rich_click as click

from armillary.app.settings import load_settings
from armillary.base.clock import to_iso
from armillary.cli.output import Columns, emit, emit_one, say, voices
from armillary.provenance.keys import PlatformKeys
from armillary.provenance.model import PublicKey

_COLUMNS: Columns = [
    ("KEY", "id"),
    ("SINCE", "since"),
    ("SIGNS", lambda key: "now" if key["current"] else "no more"),
]


@click.group("signing-key", epilog="Example: armillary signing-key list")
def signing_key() -> None:
    """The key with which this platform signs records of jobs."""


@signing_key.command("list", epilog="Example: armillary signing-key list --json")
@voices
def list_keys() -> None:
    """List the keys that sign, or signed once; their public halves stay published for ever."""
    with _keys() as keys:
        found = [_row(key) for key in keys.public()]
    emit(found, columns=_COLUMNS, identity="id")


@signing_key.command(epilog="Example: armillary signing-key rotate")
@voices
def rotate() -> None:
    """Sign with a new key from now on, also where the platform runs already.

    What was signed before stays good. Where the old key may have become known to somebody, tell people from which
    moment on its signatures are not to be believed: the list has when the new one began.
    """
    with _keys() as keys:
        made = keys.rotate()
    emit_one({**_row(made), "current": True}, fields=_COLUMNS, identity="id")
    say("It signs from now on.")


def _row(key: PublicKey) -> dict[str, object]:

    return {"id": key.id, "pem": key.pem, "since": to_iso(key.since), "current": key.current}


@contextmanager
def _keys() -> Generator[PlatformKeys]:
    from armillary.app.storage import open_keys

    with open_keys(load_settings()) as keys:
        yield keys
