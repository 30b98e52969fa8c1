"""`armillary fsck`: compares the records of VOSpace with its bytes, and mends what it finds."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from typing import Any

import rich_click as click

from armillary.app.settings import load_settings
from armillary.cli.output import Columns, emit, say, voices
from armillary.cli.words import option

_COLUMNS: Columns = [
    ("WHAT", "fault"),
    ("WHERE", "subject"),
    ("FOUND", "detail"),
    ("DONE", lambda found: found["mended"] or "-"),
]
_MOST_SHOWN = 10_000


@click.command(epilog="Example: armillary fsck --checksums; armillary fsck --mend")
@option("--checksums", is_flag=True, help="Read all bytes and compare their MD5: hours, where there is much.")
@option(
    "--mend",
    is_flag=True,
    help="Mend what can be mended without losing anything; without it nothing is changed.",
)
@voices
@click.pass_context
def fsck(context: click.Context, checksums: bool, mend: bool) -> None:
    """Compare the records of VOSpace with its bytes, both ways, while the platform runs or not.

    Finds bytes that no node names, nodes whose bytes are lost or wrong, sums of homes that are not right, what was
    begun and never finished, branches that hang on nothing, and what belongs to people who have gone. Nothing younger
    than an hour is suspected. Exit status 1 when something is wrong and stays so. With --mend, orphans are deleted,
    sums corrected and lost branches put into lost+found of their owner's home; a node with lost bytes stays where
    it is, and is marked.
    """
    from armillary.app.storage import open_checker

    shown: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    still_wrong = 0
    with open_checker(load_settings(), mends=mend, checksums=checksums, progress=_tell) as checker:
        for finding in checker.findings():
            counts[finding.fault.value] += 1
            still_wrong += finding.is_open
            if len(shown) < _MOST_SHOWN:
                shown.append(asdict(finding))
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
    emit(shown, columns=_COLUMNS, identity="subject", empty="Records and bytes agree.")
    if counts:
        say("Found: " + ", ".join(f"{count} {fault}" for fault, count in counts.items()))
    if counts.total() > len(shown):
        say(f"Only the first {_MOST_SHOWN} are shown.")
    if still_wrong:
        if not mend:
            say("Nothing was changed. To mend: armillary fsck --mend")
        context.exit(1)


def _tell(what: str, done: int, whole: int) -> None:
    """Show how far it is: in place for a person, and for a log each thing once."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{what}: {100 * done // whole} %", err=True, nl=False)
    elif done == 0:
        say(f"looking at {what}")
