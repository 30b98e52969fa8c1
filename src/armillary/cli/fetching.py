"""`armillary fetch`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from armillary.cli.choosing import targets_argument
from armillary.cli.output import Columns, Voice, emit, say, voice, voices
from armillary.cli.session import connect
from armillary.cli.words import context, option
from armillary.client import config as settings

if TYPE_CHECKING:
    from armillary.client.batch import Batch
    from armillary.client.fetching import Fetched


@click.command(
    epilog="Example: armillary fetch 7        (all jobs of cluster 7; 7.3 is one job, 7.0-99 a hundred)"
)
@targets_argument
@option(
    "--to", type=click.Path(file_okay=False, path_type=Path), help="A directory; else where you submitted."
)
@option("--failed", is_flag=True, help="Only of jobs that ended without success.")
@option("--overwrite", is_flag=True, help="Replace local files that were changed since.")
@voices
def fetch(targets: tuple[str, ...], to: Path | None, failed: bool, overwrite: bool) -> None:
    """Bring the outputs of jobs back to where you submitted them.

    What is here already is not brought again, and a file that was half brought goes on from there. A file that is here with another content than was last brought is kept, and the exit status is 1.
    """
    from armillary.client.batch import Batch
    from armillary.client.eventlog import catch_up
    from armillary.client.fetching import Fetcher
    from armillary.client.notes import Notes

    with connect() as http:
        batch = Batch(http=http)
        notes = Notes(directory=settings.state_directory())
        fetcher = Fetcher(batch=batch, notes=notes, to=to, overwrite=overwrite)
        names = list(_names(batch, targets, failed=failed))
        fetched = fetcher.fetch(*names)
        for cluster in sorted({int(name.partition(".")[0]) for name in names}) if to is None else []:
            catch_up(batch, notes=notes, platform=http.url, cluster=cluster)
    kept = report(fetched, tell=voice() is Voice.TABLE)
    columns: Columns = [("JOB", "job"), ("OUTPUT", "name"), ("FILE", "path"), ("", "outcome")]
    emit(
        [asdict(one) for one in fetched], columns=columns, identity="path", empty="There are no outputs yet."
    )
    if kept:
        context().exit(1)


def _names(batch: Batch, targets: Sequence[str], *, failed: bool) -> Iterator[str]:
    from armillary.cli.queueing import chosen_jobs
    from armillary.client.targets import read_targets

    if not targets:
        raise click.UsageError("Name clusters (7), jobs (7.3) or parts of clusters (7.0-99).")
    single = [target.job for target in read_targets(targets)]
    if all(single) and not failed:
        yield from (job for job in single if job)
        return
    states = ["completed"] if failed else []
    for job in chosen_jobs(batch, targets, states=states):
        if not (failed and job["succeeded"]):
            yield str(job["job"])


def report(fetched: Sequence[Fetched], *, tell: bool = True) -> int:
    """Name the files that were kept because they were changed here; return how many."""
    kept = [one for one in fetched if one.outcome == "kept"]
    for one in kept if tell else ():
        say(f"kept {one.path}: it was changed here. To replace it: armillary fetch {one.job} --overwrite")
    return len(kept)
