"""`armillary submit`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from armillary.base.errors import Invalid
from armillary.cli.completing import complete_flavors, complete_images
from armillary.cli.output import Columns, Voice, emit, emit_one, say, voice, voices
from armillary.cli.session import choose_project, connect, project_option
from armillary.cli.words import argument, option

if TYPE_CHECKING:  # reading submit files takes a moment to load, which other commands need not wait for
    from armillary.client.submitfile import Submission
    from armillary.client.submitting import LocalFile


@click.command(
    epilog="Example: armillary submit do_catalogue.sub --image my-snapshot --flavor c2-2gb-10 --wait"
)
@argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@option(
    "--image",
    shell_complete=complete_images,
    help="The machine image: name, id or SHA-512. Else +VMImage of the file, else ARMILLARY_IMAGE.",
)
@option(
    "--flavor",
    shell_complete=complete_flavors,
    help="The size of the workers; else +VMInstanceType of the file, ARMILLARY_FLAVOR, or whichever fits best.",
)
@project_option
@option("--wait", is_flag=True, help="Follow the jobs, bring their outputs here, write the job event log.")
@option("--allow-commands", is_flag=True, help="Let the file run commands on this machine.")
@option("--dry-run", is_flag=True, help="Say how many jobs, cores, hours and bytes, without submitting them.")
@option("--verbose", "-v", is_flag=True, help="With --dry-run: show each job as well.")
@voices
def submit(
    file: str,
    image: str | None,
    flavor: str | None,
    project: str | None,
    wait: bool,
    allow_commands: bool,
    dry_run: bool,
    verbose: bool,
) -> None:
    """Submit an HTCondor submit file.

    Names of files are relative to where you stand, as with condor_submit.
    """
    if dry_run:
        _dry_run(file, allow_commands=allow_commands, verbose=verbose)
    else:
        run(file, image=image, flavor=flavor, project=project, wait=wait, allow_commands=allow_commands)


def run(
    file: str,
    *,
    image: str | None,
    flavor: str | None,
    project: str | None,
    wait: bool,
    allow_commands: bool = False,
) -> None:
    """Read, send and queue; shared with `canfar_submit`."""
    from armillary.cli.machines import chosen_machine
    from armillary.client.batch import Batch
    from armillary.client.submitting import send

    submission, files = _read(file, allow_commands=allow_commands)
    image, flavor = chosen_machine(
        submission, image=image, flavor=flavor, note=lambda text: say(f"note: {text}")
    )
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


def _read(file: str, *, allow_commands: bool) -> tuple[Submission, dict[str, LocalFile]]:
    """Return the jobs of a submit file and the files that they need; what will not be as expected is said."""
    from armillary.client.submitfile import LocalAccess, read_submit
    from armillary.client.submitting import take_files

    base = Path.cwd()
    access = LocalAccess(base=base, allow_commands=allow_commands)
    submission = read_submit(_text(file), access=access, name=file)
    for note in submission.warnings:
        say(f"note: {note}")
    return submission, take_files(submission, base=base)


def _dry_run(file: str, *, allow_commands: bool, verbose: bool) -> None:
    from armillary.client.submitfile.estimate import estimate

    submission, files = _read(file, allow_commands=allow_commands)
    total = estimate(
        submission,
        sizes={key: f.size for key, f in files.items()},
        contents={key: f.sha256 for key, f in files.items()},
    )
    jobs = [job.as_dict() for job in submission.jobs] if verbose else []
    if verbose and voice() is not Voice.JSON:
        _show(jobs)
    record: dict[str, Any] = {**total.as_dict(), "warnings": [str(note) for note in submission.warnings]}
    fields: Columns = [
        ("Jobs", "jobs"),
        ("Cores", "cores"),
        ("GPUs", lambda r: r["gpus"] or None),
        ("Memory", lambda r: f"{r['memory_mib']} MiB"),
        ("Disk", lambda r: f"{r['disk_kib'] // 1024} MiB"),
        ("Core hours", lambda r: "not bounded: no allowed_execute_duration" if r["core_hours"] is None else f"at most {r['core_hours']:g}"),
        ("Files", lambda r: f"{r['files']}, {r['sent_bytes']} bytes, sent once"),
        ("Input", lambda r: f"{r['input_bytes']} bytes for all jobs"),
        ("Addresses", lambda r: r["addresses"] or None),
    ]  # fmt: skip
    emit_one({**record, "specs": jobs} if verbose else record, fields=fields, identity="jobs")


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
