"""`armillary queue`, `jobs` and `history`: what waits and runs, and what is over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import rich_click as click

from armillary.cli.choosing import STATES, targets_argument, who_am_i
from armillary.cli.output import Columns, at, emit, voices
from armillary.cli.rows import JOB_COLUMNS, job_row
from armillary.cli.session import connect
from armillary.cli.words import option

if TYPE_CHECKING:
    from armillary.client.batch import Batch

_LIVE = ["idle", "claimed", "running", "held"]
_OVER = ["completed", "removed"]


@click.command(epilog="Example: armillary queue --mine")
@option("--mine", is_flag=True, help="Only what you have submitted.")
@option("--all", "everything", is_flag=True, help="Also clusters whose jobs are all over.")
@option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many clusters.")
@voices
def queue(mine: bool, everything: bool, limit: int) -> None:
    """List what was submitted and is not over, one line for each cluster. `armillary jobs` lists the jobs."""
    from armillary.client.batch import Batch

    with connect() as http:
        me = who_am_i(http) if mine else None
        wanted = (
            _counted(one)
            for one in Batch(http=http).clusters()
            if me in (None, one["owner"]) and (everything or any(one["states"].get(s) for s in _LIVE))
        )
        found = list(islice(wanted, limit))
    columns: Columns = [
        ("CLUSTER", "cluster"),
        ("NAME", "batch_name"),
        ("OWNER", "owner"),
        ("PROJECT", "project"),
        ("SUBMITTED", at("submitted_at")),
        ("DONE", "done"),
        ("RUN", "run"),
        ("IDLE", "idle"),
        ("HOLD", "hold"),
        ("TOTAL", "jobs"),
    ]
    emit(found, columns=columns, identity="cluster", empty="Nothing waits or runs.")


def _counted(cluster: dict[str, Any]) -> dict[str, Any]:
    states = cluster["states"]
    return {
        **cluster,
        "done": states.get("completed", 0),
        "run": states.get("running", 0) + states.get("claimed", 0),
        "idle": states.get("idle", 0),
        "hold": states.get("held", 0),
    }


@click.command(epilog="Example: armillary jobs 7 8.0-99 --state held")
@targets_argument
@option("--state", "states", type=click.Choice(STATES), multiple=True, help="Only these. May be repeated.")
@option("--all", "everything", is_flag=True, help="Also those that are over, of all clusters.")
@option("--mine", is_flag=True, help="Only what you have submitted.")
@voices
def jobs(targets: tuple[str, ...], states: tuple[str, ...], everything: bool, mine: bool) -> None:
    """List jobs: those that you name, or all of yours and your projects' that are not over."""
    from armillary.client.batch import Batch

    wanted = list(states) or ([] if targets or everything else _LIVE)
    with connect() as http:
        owner = who_am_i(http) if mine else None
        found = list(chosen_jobs(Batch(http=http), targets, states=wanted, owner=owner))
    emit([job_row(job) for job in found], columns=JOB_COLUMNS, identity="id", empty="There are no such jobs.")


@click.command(epilog="Example: armillary history 7 --limit 20")
@targets_argument
@option("--mine", is_flag=True, help="Only what you have submitted.")
@option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many jobs.")
@voices
def history(targets: tuple[str, ...], mine: bool, limit: int) -> None:
    """List jobs that are over, those of the newest cluster first."""
    from armillary.client.batch import Batch

    with connect() as http:
        batch = Batch(http=http)
        found = list(islice(past_jobs(batch, targets, owner=who_am_i(http) if mine else None), limit))
    columns: Columns = [*JOB_COLUMNS[:-1], ("FINISHED", at("finished_at")), JOB_COLUMNS[-1]]
    emit([job_row(job) for job in found], columns=columns, identity="id", empty="No jobs are over.")


def in_words(states: Mapping[str, int]) -> str:
    """Say how many jobs are in each state."""
    return ", ".join(f"{number} {state}" for state, number in states.items())


def left_out(found: Mapping[str, Any]) -> str:
    """Say which jobs a cluster's explanation does not tell of; nothing if it tells of all."""
    waiting = sum(found["states"].get(state, 0) for state in ("idle", "held"))
    left = waiting - sum(kind["jobs"] for kind in found["kinds"])
    if left < 1:
        return ""
    return (
        f"{left} more job(s) wait or are held that are like none of these: name one, as {found['cluster']}.0."
    )


def chosen_jobs(
    batch: Batch,
    targets: Iterable[str],
    *,
    states: Iterable[str] = (),
    owner: str | None = None,
    spec: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield the jobs that are named, or all that may be seen, in order."""
    from armillary.client.targets import read_targets

    chosen = read_targets(targets)
    clusters: list[int | None] = [*dict.fromkeys(target.cluster for target in chosen)] or [None]
    for cluster in clusters:
        for job in batch.jobs(cluster=cluster, states=list(states), owner=owner, spec=spec):
            if not chosen or any(target.has(job) for target in chosen):
                yield job


def past_jobs(
    batch: Batch, targets: Iterable[str], *, owner: str | None = None, spec: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield jobs that are over, those of the newest cluster first."""
    named = list(targets)
    if named:
        yield from chosen_jobs(batch, named, states=_OVER, owner=owner, spec=spec)
        return
    for cluster in batch.clusters():
        if owner in (None, cluster["owner"]) and any(cluster["states"].get(state) for state in _OVER):
            yield from batch.jobs(cluster=int(cluster["cluster"]), states=_OVER, spec=spec)
