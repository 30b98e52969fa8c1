"""`armillary sweep`: makes room on the platform's disk."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain

import rich_click as click

from armillary.app.settings import load_settings
from armillary.base.units import format_size
from armillary.cli.output import Columns, emit, say, voices
from armillary.cli.words import option

_COLUMNS: Columns = [
    ("WHAT", "what"),
    ("COUNT", "count"),
    ("SIZE", lambda found: format_size(found["bytes"])),
]


@click.command(epilog="Example: armillary sweep --dry-run; armillary sweep --logs-older 365")
@option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@option(
    "--logs-older",
    type=click.IntRange(min=1, max=36_500),
    metavar="DAYS",
    help="Remove the logs of submits that are over and have said nothing for so long, too.",
)
@voices
def sweep(dry_run: bool, logs_older: int | None) -> None:
    """Make room on the disk of this platform, whether it runs or not.

    Removes the files in its spool that nothing names any more, such as what attempts brought that were lost before
    their end. Nothing younger than a day goes, and nothing that a record, a job, a checkpoint or a person who has sent
    it needs. The outputs of a job are no logs: they stay.
    """
    from armillary.app.storage import open_sweeper

    counts = {"file": [0, 0], "log": [0, 0]}
    with open_sweeper(load_settings()) as sweeper:
        logs = sweeper.old_logs(timedelta(days=logs_older), removes=not dry_run) if logs_older else ()
        for swept in chain(sweeper.files(removes=not dry_run), logs):
            counts[swept.what][0] += 1
            counts[swept.what][1] += swept.size
    rows = [{"what": what, "count": count, "bytes": octets} for what, (count, octets) in counts.items()]
    emit(rows, columns=_COLUMNS, identity="what")
    say("Nothing was removed." if dry_run else "They are gone.")
