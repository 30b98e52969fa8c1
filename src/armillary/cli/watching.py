"""`armillary watch`: see a cluster go, from anywhere, until its jobs are over."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import rich_click as click

from armillary.cli.choosing import targets_argument
from armillary.cli.output import say
from armillary.cli.session import connect
from armillary.cli.words import context, option
from armillary.client.errors import ClientError

_BAR = 40
_FAILED = 1


@click.command(epilog="Example: armillary watch 7 --until-done")
@targets_argument
@option("--until-done", is_flag=True, help="Only return when all are over; held jobs are waited for, too.")
@option("--fetch/--no-fetch", "fetching", default=False, help="Bring outputs here as jobs complete.")
def watch(targets: tuple[str, ...], until_done: bool, fetching: bool) -> None:
    """Show how the jobs of clusters go: each change as a line, or on a terminal as one line that moves.

    Without a cluster, your newest. It ends when all jobs are over, or what is left is held; with --until-done not
    before all are over. Disconnects are waited out. The exit status is 1 when a job did not end well.
    """
    from armillary.cli.waiting import Following
    from armillary.client.batch import Batch
    from armillary.client.targets import read_targets

    bad = 0
    with connect() as http:
        batch = Batch(http=http)
        clusters = [*dict.fromkeys(target.cluster for target in read_targets(targets))]
        for cluster in clusters or _newest(batch):
            show = Progress(cluster=cluster) if sys.stderr.isatty() else None
            following = Following(
                batch=batch,
                cluster=cluster,
                platform=http.url,
                fetching=fetching,
                tell=show.tell if show else None,
            )
            following.run(until_done=until_done)
            if show:
                show.end()
            bad += summarize(cluster, following.jobs())
    context().exit(_FAILED if bad else 0)


def _newest(batch: Any) -> list[int]:
    found = next(iter(batch.clusters()), None)
    if found is None:
        raise ClientError(
            "you have submitted nothing yet",
            code="no_clusters",
            answered=404,
            remedy="See: armillary submit --help",
        )
    return [int(found["cluster"])]


def summarize(cluster: int, jobs: list[dict[str, Any]]) -> int:
    """Say how the jobs of a cluster ended, failures by cause; return how many did not end well."""
    causes = Counter(cause for job in jobs if (cause := _cause(job)))
    say(f"cluster {cluster}: {len(jobs) - causes.total()} of {len(jobs)} job(s) well")
    for cause, number in causes.most_common():
        say(f"  {number} {cause}")
    if any(job["state"] == "completed" and _cause(job) for job in jobs):
        say(f"  Run those again that failed: armillary retry {cluster} --failed")
    return causes.total()


def _cause(job: Mapping[str, Any]) -> str:
    if job["state"] == "held":
        return f"held: {job['hold_code'] or job['reason'] or 'by a person'}"
    if job["state"] == "completed" and not job["succeeded"]:
        return (
            f"ended by signal {job['signal']}"
            if job["signal"]
            else f"ended with exit code {job['exit_code']}"
        )
    return "removed" if job["state"] == "removed" else ""


class Progress:
    """One line that moves: how many jobs of the cluster are done, run, wait and are held."""

    def __init__(self, *, cluster: int) -> None:
        self._cluster = cluster

    def tell(self, _event: Mapping[str, Any] | None, states: Mapping[str, str]) -> None:
        """Draw it anew."""
        count = Counter(states.values())
        over = count["completed"] + count["removed"]
        bar = "█" * (_BAR * over // max(1, len(states)))
        words = f"{over}/{len(states)} over, {count['running'] + count['claimed']} running, {count['idle']} waiting"
        held = f", {count['held']} held" if count["held"] else ""
        click.echo(f"\r\x1b[K{self._cluster} {bar:░<{_BAR}} {words}{held}", err=True, nl=False)

    def end(self) -> None:
        """Leave the line."""
        click.echo("", err=True)
