"""Three voices for what a command returns: a table, JSON, or identifiers alone. Results on stdout, talk on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import rich_click as click

from armillary.base.errors import ArmillaryError
from armillary.cli.words import option

Record = Mapping[str, Any]
Column = tuple[str, str | Callable[[Record], Any]]
Columns = list[Column]
_META = "armillary.cli.voice"


class Voice(StrEnum):
    TABLE = "table"
    JSON = "json"
    QUIET = "quiet"


def voices(command: Any) -> Any:
    """Give a command the options `--json` and `--quiet`."""

    def choose(voice: Voice) -> Callable[[click.Context, click.Parameter, bool], None]:
        def callback(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
            if value:
                context.meta[_META] = voice

        return callback

    json_option = option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=choose(Voice.JSON),
        help="Print JSON, for programs.",
    )
    quiet_option = option(
        "--quiet",
        "-q",
        is_flag=True,
        expose_value=False,
        callback=choose(Voice.QUIET),
        help="Print identifiers alone, one to a line.",
    )
    return json_option(quiet_option(command))


def voice() -> Voice:
    """Return the voice that the person chose."""
    context = click.get_current_context(silent=True)
    return Voice.TABLE if context is None else context.meta.get(_META, Voice.TABLE)


def emit(records: Sequence[Record], *, columns: Sequence[Column], identity: str, empty: str = "") -> None:
    """Print a list of records. `empty` is said, on stderr, when a person would see a bare heading."""
    chosen = voice()
    if chosen is Voice.JSON:
        click.echo(json.dumps([dict(record) for record in records], indent=2))
    elif chosen is Voice.QUIET:
        for record in records:
            click.echo(str(record[identity]))
    elif records:
        rows = [[_text(_cell(record, key)) for _, key in columns] for record in records]
        click.echo(_aligned([[heading for heading, _ in columns], *rows]))
    elif empty:
        say(empty)


def emit_one(record: Record, *, fields: Sequence[Column], identity: str) -> None:
    """Print one record."""
    chosen = voice()
    if chosen is Voice.JSON:
        click.echo(json.dumps(dict(record), indent=2))
    elif chosen is Voice.QUIET:
        click.echo(str(record[identity]))
    else:
        shown = [(heading, _text(_cell(record, key))) for heading, key in fields]
        click.echo(_aligned([[f"{heading}:", text] for heading, text in shown if text]))


def say(message: str) -> None:
    """Tell the person something that is not the result."""
    if voice() is not Voice.QUIET:
        click.echo(message, err=True)


def show_error(error: ArmillaryError) -> None:
    """Print a refusal with its remedy; as JSON on stdout too when JSON was asked for."""
    if voice() is Voice.JSON:
        click.echo(json.dumps(error.as_dict(), indent=2))
    click.echo(f"error: {error.message}", err=True)
    if error.remedy:
        click.echo(f"       {error.remedy}", err=True)


def moment(text: str | None) -> str:
    """Render an ISO moment in the person's own time zone."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S") if text else ""


def at(key: str) -> Callable[[Record], str]:
    """Make a column of a moment."""
    return lambda record: moment(record.get(key))


def _cell(record: Record, key: str | Callable[[Record], Any]) -> Any:
    return record.get(key) if isinstance(key, str) else key(record)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(str(value))


def plain(text: str) -> str:
    """Return a text that may be a stranger's, such as a file's name, without what would steer the terminal."""
    return "".join(
        one if one.isprintable() else " " if one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text
    )


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def read_password(*, from_stdin: bool, confirm: bool = False) -> str:
    """Return a password: a line of standard input, or asked for without showing it."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    return click.prompt("Password", hide_input=True, confirmation_prompt=confirm, err=True)
