"""`armillary fetch`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from armillary.cli.output import Columns, Voice, emit, say, voice, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, context, option
from armillary.client import config as settings

if TYPE_CHECKING:
    from armillary.client.fetching import Fetched


@click.command(epilog="Example: armillary fetch 7        (all jobs of cluster 7; 7.3 is one job)")
@argument("target", metavar="CLUSTER|JOB")
@option(
    "--to", type=click.Path(file_okay=False, path_type=Path), help="A directory; else where you submitted."
)
@option("--overwrite", is_flag=True, help="Replace local files that were changed since.")
@voices
def fetch(target: str, to: Path | None, overwrite: bool) -> None:
    """Bring the outputs of jobs back to where you submitted them.

    A file that is here with another content than was last brought is kept, and the exit status is 1.
    """
    from armillary.client.batch import Batch
    from armillary.client.fetching import Fetcher
    from armillary.client.notes import Notes

    with connect() as http:
        batch = Batch(http=http)
        fetcher = Fetcher(
            batch=batch, notes=Notes(directory=settings.state_directory()), to=to, overwrite=overwrite
        )
        if "." in target:
            names = [target]
        else:
            names = [str(job["job"]) for job in batch.jobs(cluster=cluster_number(target))]
        fetched = [one for name in names for one in fetcher.fetch(name)]
    kept = report(fetched, tell=voice() is Voice.TABLE)
    columns: Columns = [("JOB", "job"), ("OUTPUT", "name"), ("FILE", "path"), ("", "outcome")]
    emit(
        [asdict(one) for one in fetched], columns=columns, identity="path", empty="There are no outputs yet."
    )
    if kept:
        context().exit(1)


def cluster_number(text: str) -> int:
    """Read the number of a cluster."""
    if not text.isdecimal():
        raise click.BadParameter(f"{text!r} is neither a cluster (7) nor a job (7.3)")
    return int(text)


def report(fetched: Sequence[Fetched], *, tell: bool = True) -> int:
    """Name the files that were kept because they were changed here; return how many."""
    kept = [one for one in fetched if one.outcome == "kept"]
    for one in kept if tell else ():
        say(f"kept {one.path}: it was changed here. To replace it: armillary fetch {one.job} --overwrite")
    return len(kept)
