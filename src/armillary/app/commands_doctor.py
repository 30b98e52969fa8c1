"""`armillary doctor`: what is there, what is missing, and the command that mends it."""

from __future__ import annotations

from dataclasses import asdict

import rich_click as click

from armillary.cli.output import Columns, emit, say, voices

_COLUMNS: Columns = [
    ("", lambda found: "ok" if found["ok"] else ("MISSING" if found["required"] else "note")),
    ("WHAT", "name"),
    ("FOUND", "detail"),
    ("REMEDY", "remedy"),
]


@click.command(epilog="Example: armillary doctor --json")
@voices
@click.pass_context
def doctor(context: click.Context) -> None:
    """Look at this computer: tools, acceleration (probed, not assumed), ports, memory, disk.

    Exit status 1 when something that is needed is missing; notes are for what works, only less well.
    """
    from armillary.app.doctor import examine

    found = examine()
    emit([asdict(finding) for finding in found], columns=_COLUMNS, identity="name")
    missing = [finding for finding in found if not finding.ok and finding.required]
    if missing:
        say(f"{len(missing)} of these must be mended first; the commands are in the last column.")
        context.exit(1)
