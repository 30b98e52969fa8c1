"""`armillary job …`, `explain` and `workers`."""

from __future__ import annotations

import rich_click as click

from armillary.cli.changing import hold, priority, release, remove, retry
from armillary.cli.choosing import job_argument
from armillary.cli.completing import complete_targets
from armillary.cli.output import Columns, Record, Voice, at, emit, emit_one, voice, voices
from armillary.cli.reading_logs import logs
from armillary.cli.rows import job_row
from armillary.cli.session import connect
from armillary.cli.words import argument, option


@click.group(epilog="Example: armillary job explain 7.3")
def job() -> None:
    """Look at a job, or change it."""


@job.command(epilog="Example: armillary job show 7.3")
@job_argument
@voices
def show(name: str) -> None:
    """Show a job with its attempts and outputs."""
    from armillary.client.batch import Batch

    with connect() as http:
        found = job_row(Batch(http=http).job(name))
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


@click.command(epilog="Example: armillary explain 7        (each kind of jobs of cluster 7; 7.3 is one job)")
@argument("name", metavar="CLUSTER|JOB", shell_complete=complete_targets)
@voices
def explain(name: str) -> None:
    """Say why jobs are not running, with every reason: one job, or all kinds of jobs of a cluster."""
    from armillary.client.batch import Batch
    from armillary.client.targets import read_target

    target = read_target(name)
    with connect() as http:
        batch = Batch(http=http)
        found = batch.explain_cluster(target.cluster) if target.first is None else batch.explain(name)
    if voice() is not Voice.TABLE:
        emit_one(found, fields=[], identity="state" if target.job else "cluster")
    elif target.first is None:
        _explain_kinds(found)
    else:
        click.echo(f"Job {name} is {found['state']}.")
        _give_reasons(found)


def _explain_kinds(found: Record) -> None:
    from armillary.cli.queueing import in_words, left_out

    click.echo(f"Cluster {found['cluster']}: {in_words(found['states'])}.")
    for kind in found["kinds"]:
        jobs = "1 job, {}, is" if kind["jobs"] == 1 else f"{kind['jobs']} jobs, from {{}} on, are"
        click.echo(f"\n{jobs.format(kind['job'])} {kind['state']}:")
        _give_reasons(kind)
    if left := left_out(found):
        click.echo(f"\n{left}")


def _give_reasons(found: Record) -> None:
    for reason in found["reasons"]:
        where = f"{reason['cloud']}: " if reason.get("cloud") else ""
        click.echo(f"- {where}{reason['message']}")
        if reason.get("remedy"):
            click.echo(f"  {reason['remedy']}")


for _name, _command in {
    "hold": hold,
    "release": release,
    "rm": remove,
    "retry": retry,
    "priority": priority,
    "logs": logs,
    "explain": explain,
}.items():
    job.add_command(_command, _name)


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
