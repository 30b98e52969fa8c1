"""`armillary jobs`, `job …` and `workers`."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import Any

import rich_click as click

from armillary.cli.fetching import cluster_number
from armillary.cli.output import Columns, Record, Voice, at, emit, emit_one, say, voice, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, option
from armillary.client.submitfile.model import CLUSTER

_STATES = ["idle", "claimed", "running", "completed", "held", "removed"]
_LIVE = ["idle", "claimed", "running", "held"]
_COLUMNS: Columns = [
    ("JOB", "job"),
    ("STATE", "state"),
    ("EXIT", lambda job: f"signal {job['signal']}" if job.get("signal") else job.get("exit_code")),
    ("CLOUD", "cloud"),
    ("WORKER", "worker"),
    ("SECONDS", "seconds"),
    ("COMMAND", lambda job: " ".join([job["executable"], *job["arguments"]])[:60]),
    ("REASON", "reason"),
]


@click.command(epilog="Example: armillary jobs 7 --state held")
@argument("cluster", required=False)
@option("--state", "states", type=click.Choice(_STATES), multiple=True, help="Only these. May be repeated.")
@option("--all", "everything", is_flag=True, help="Also those that are over, of all clusters.")
@voices
def jobs(cluster: str | None, states: tuple[str, ...], everything: bool) -> None:
    """List jobs: those of a cluster, or all of yours that are not over."""
    from armillary.client.batch import Batch

    wanted = list(states) or ([] if cluster or everything else _LIVE)
    number = cluster_number(cluster) if cluster else None
    with connect() as http:
        found = [_row(job) for job in Batch(http=http).jobs(cluster=number, states=wanted)]
    emit(found, columns=_COLUMNS, identity="id", empty="There are no such jobs.")


@click.group(epilog="Example: armillary job explain 7.3")
def job() -> None:
    """Look at a job, or change it."""


@job.command(epilog="Example: armillary job show 7.3")
@argument("name", metavar="JOB")
@voices
def show(name: str) -> None:
    """Show a job with its attempts and outputs."""
    from armillary.client.batch import Batch

    with connect() as http:
        found = _row(Batch(http=http).job(name))
    fields: Columns = [
        ("Job", "job"),
        ("State", "state"),
        ("Reason", "reason"),
        ("Exit code", "exit_code"),
        ("Signal", "signal"),
        ("Command", lambda one: " ".join([one["executable"], *one["arguments"]])),
        ("Image", lambda one: f"{one['image']['name']} (sha512 {one['image_sha512'][:16]}…)"),
        ("Flavor", "flavor"),
        ("Project", "project"),
        ("Submitted", at("submitted_at")),
        ("Started", at("started_at")),
        ("Finished", at("finished_at")),
    ]
    emit_one(found, fields=fields, identity="id")
    if voice() is Voice.TABLE:
        _show_parts(found)


def _show_parts(found: Record) -> None:
    attempts: Columns = [
        ("ATTEMPT", "attempt"),
        ("STATE", "state"),
        ("CLOUD", "cloud"),
        ("WORKER", "worker"),
        ("CLAIMED", at("claimed_at")),
        ("ENDED", at("ended_at")),
        ("ERROR", "error"),
    ]
    outputs: Columns = [
        ("OUTPUT", "name"),
        ("BYTES", "size"),
        ("SHA256", lambda one: one["sha256"][:16] + "…"),
    ]
    for records, columns in ((found["attempt_list"], attempts), (found["outputs"], outputs)):
        if records:
            click.echo()
            emit(records, columns=columns, identity="")


@job.command(epilog="Example: armillary job logs -f 7.3")
@argument("name", metavar="JOB")
@option("--follow", "-f", is_flag=True, help="Go on until the job ends.")
@option("--stderr", "stream", flag_value="stderr", help="What it wrote to standard error.")
@option("--stdout", "stream", flag_value="stdout", default=True, help="What it wrote to standard output.")
def logs(name: str, follow: bool, stream: str) -> None:
    """Print what a job has written."""
    from armillary.client.batch import Batch

    offset, complete = 0, False
    with connect() as http:
        batch = Batch(http=http)
        while True:
            data, following, complete = batch.log(name, stream=stream or "stdout", offset=offset)
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            moved, offset = following > offset, following
            if complete or (not follow and not moved):
                return
            if not moved:
                time.sleep(1)


@job.command(epilog="Example: armillary job explain 7.3")
@argument("name", metavar="JOB")
@voices
def explain(name: str) -> None:
    """Say why a job is not running, with every reason."""
    from armillary.client.batch import Batch

    with connect() as http:
        found = Batch(http=http).explain(name)
    if voice() is not Voice.TABLE:
        emit_one(found, fields=[], identity="state")
        return
    click.echo(f"Job {name} is {found['state']}.")
    for reason in found["reasons"]:
        where = f"{reason['cloud']}: " if reason.get("cloud") else ""
        click.echo(f"- {where}{reason['message']}")
        if reason.get("remedy"):
            click.echo(f"  {reason['remedy']}")


def _change(target: str, verb: str, done: str, reason: str = "") -> None:
    from armillary.client.batch import Batch

    if "." not in target:
        cluster_number(target)
    with connect() as http:
        changed = Batch(http=http).change(target, verb, reason=reason)
    say(f"{changed} job(s) {done}.")
    if voice() is Voice.JSON:
        emit_one({"target": target, "changed": changed}, fields=[], identity="changed")


_TARGET = argument("target", metavar="JOB|CLUSTER")


@job.command(epilog="Example: armillary job hold 7 --reason 'wrong threshold'")
@_TARGET
@option("--reason", default="", help="Kept with the jobs.")
@voices
def hold(target: str, reason: str) -> None:
    """Hold jobs: running ones are ended, none starts."""
    _change(target, "hold", "held", reason)


@job.command(epilog="Example: armillary job release 7.3")
@_TARGET
@voices
def release(target: str) -> None:
    """Let held jobs run."""
    _change(target, "release", "released")


@job.command(epilog="Example: armillary job rm 7")
@_TARGET
@option("--reason", default="", help="Kept with the jobs.")
@voices
def rm(target: str, reason: str) -> None:
    """Remove jobs; running ones are ended."""
    _change(target, "remove", "removed", reason)


@job.command(epilog="Example: armillary job retry 7.3")
@_TARGET
@voices
def retry(target: str) -> None:
    """Run jobs again that failed, were held or were removed."""
    _change(target, "retry", "will run again")


@click.command(epilog="Example: armillary workers --gone")
@option("--gone", is_flag=True, help="Also those that are gone.")
@voices
def workers(gone: bool) -> None:
    """List the machines that run your jobs."""
    from armillary.client.batch import Batch

    with connect() as http:
        found = list(Batch(http=http).workers(gone=gone))
    columns: Columns = [
        ("WORKER", "worker"),
        ("CLOUD", "cloud"),
        ("STATE", "state"),
        ("FLAVOR", "flavor"),
        ("JOBS", lambda one: " ".join(one["jobs"])),
        ("SINCE", at("created_at")),
        ("LAST SEEN", at("last_seen_at")),
        ("REASON", "reason"),
    ]
    emit(
        found,
        columns=columns,
        identity="worker",
        empty="There are no workers now; they boot when jobs need them.",
    )


def _row(job: Record) -> dict[str, Any]:
    """Add what a reader wants to see at once: `id`, the image's digest, and the seconds it ran."""
    # a platform may keep $(Cluster) as the submit file has it
    arguments = [argument.replace(CLUSTER, str(job["cluster"])) for argument in job["arguments"]]
    seconds = None
    if job.get("started_at") and job.get("finished_at"):
        ran = datetime.fromisoformat(job["finished_at"]) - datetime.fromisoformat(job["started_at"])
        seconds = round(ran.total_seconds(), 1)
    return {
        "id": job["job"],
        **job,
        "arguments": arguments,
        "image_sha512": job["image"]["sha512"],
        "seconds": seconds,
    }
