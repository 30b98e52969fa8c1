"""`armillary submit`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import rich_click as click

from armillary.base.errors import Invalid
from armillary.cli.output import Columns, emit, emit_one, say, voices
from armillary.cli.session import choose_project, connect, project_option
from armillary.cli.words import argument, option


@click.command(
    epilog="Example: armillary submit do_catalogue.sub --image my-snapshot --flavor c2-2gb-10 --wait"
)
@argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@option("--image", required=True, help="The machine image: name, id or SHA-512.")
@option("--flavor", required=True, help="The size of the workers.")
@project_option
@option("--wait", is_flag=True, help="Follow the jobs, bring their outputs here, write the job event log.")
@option("--allow-commands", is_flag=True, help="Let the file run commands on this machine.")
@option("--dry-run", is_flag=True, help="Show the jobs without submitting them.")
@voices
def submit(
    file: str, image: str, flavor: str, project: str | None, wait: bool, allow_commands: bool, dry_run: bool
) -> None:
    """Submit an HTCondor submit file.

    Names of files are relative to where you stand, as with condor_submit.
    """
    run(
        file, image=image, flavor=flavor, project=project, wait=wait, allow_commands=allow_commands, dry_run=dry_run
    )  # fmt: skip


def run(
    file: str,
    *,
    image: str,
    flavor: str,
    project: str | None,
    wait: bool,
    allow_commands: bool = False,
    dry_run: bool = False,
) -> None:
    """Read, send and queue; shared with `canfar_submit`."""
    from armillary.client.batch import Batch
    from armillary.client.submitfile import LocalAccess, read_submit
    from armillary.client.submitting import send, take_files

    base = Path.cwd()
    submission = read_submit(_text(file), access=LocalAccess(base=base, allow_commands=allow_commands))
    for note in submission.warnings:
        say(f"note: {note}")
    files = take_files(submission, base=base)
    if dry_run:
        _show([job.as_dict() for job in submission.jobs])
        return
    with connect() as http:
        batch = Batch(http=http)
        reply = send(
            submission,
            batch=batch,
            files=files,
            project=choose_project(http, project),
            image=image,
            flavor=flavor,
            progress=lambda name, number, count: say(f"sending {name} ({number} of {count})"),
        )
        for warning in reply.get("warnings") or ():
            say(f"note: {warning}")
        say(f"{reply['jobs']} job(s) submitted to cluster {reply['cluster']}.")
        if not wait:
            fields: Columns = [
                ("Cluster", "cluster"),
                ("Jobs", "jobs"),
                (
                    "Image",
                    lambda record: f"{record['image']['name']} (sha512 {record['image']['sha512'][:12]}…)",
                ),
                ("Flavor", "flavor"),
                ("Project", "project"),
            ]
            emit_one(reply, fields=fields, identity="cluster")
            return
        from armillary.cli.waiting import follow

        follow(batch, cluster=int(reply["cluster"]), platform=http.url)


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(
            f"cannot read {file}: {error}", code="unreadable_file", remedy="Is it a text file?"
        ) from error


def _show(jobs: list[dict[str, Any]]) -> None:
    columns: Columns = [
        ("PROC", "proc"),
        ("EXECUTABLE", "executable"),
        ("ARGUMENTS", lambda job: " ".join(job["arguments"])),
        ("CPUS", "request_cpus"),
        ("MIB", "request_memory_mib"),
        ("INPUTS", lambda job: " ".join(job["transfer_input_files"])),
        ("OUTPUT", "output"),
    ]
    emit(jobs, columns=columns, identity="proc")
