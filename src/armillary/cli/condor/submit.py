"""`condor_submit`."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import rich_click as click

from armillary.base.errors import Invalid
from armillary.base.job_ads import job_ad
from armillary.cli.condor.ads import literal
from armillary.cli.condor.options import Options, read
from armillary.cli.condor.reaching import Reach
from armillary.cli.machines import chosen_machine
from armillary.cli.session import choose_project
from armillary.client.nodelog import NODES, note_node
from armillary.client.submitfile import LocalAccess, Submission, read_submit

_KNOWN = {
    "terse": 0,
    "verbose": 0,
    "append": 1,
    "queue": -1,
    "batch-name": 1,
    "dry-run": 1,
    "file": 1,
    "spool": 0,
    "remote": 1,
    "name": 1,
    "pool": 1,
    "disable": 0,
    "unused": 0,
    "allow-commands": 0,
    "project": 1,
}


def condor_submit(arguments: Sequence[str], reach: Reach) -> int:
    """Submit a submit file; its name, or `-` or nothing for standard input, and `name=value` for what stands above it.

    The image is that of `+VMImage` in the file or of ARMILLARY_IMAGE, the flavor that of `+VMInstanceType` or of
    ARMILLARY_FLAVOR; without a flavor any will do.
    """
    from armillary.client.submitting import send, take_files

    options = read(arguments, _KNOWN, aliases={"a": "append", "q": "queue", "batch_name": "batch-name"})
    base = Path.cwd()
    submission = read_submit(
        _text(options), access=LocalAccess(base=base, allow_commands="allow-commands" in options)
    )
    terse = "terse" in options
    # Programs that ask for the name alone may read both streams as one, as Nextflow does, and take the first word.
    with _Warnings(later=terse and "dry-run" not in options) as warnings:
        for note in submission.warnings:
            warnings.say(str(note))
        if "dry-run" in options:
            return _dry_run(submission, options.one("dry-run") or "-")
        files = take_files(submission, base=base)
        image, flavor = chosen_machine(submission, image=None, flavor=None, note=warnings.say)
        if not terse:
            click.echo("Submitting job(s)" + "." * min(len(submission.jobs), 60))
        reply = send(
            submission,
            batch=reach.batch,
            files=files,
            project=choose_project(reach.http, options.one("project")),
            image=image,
            flavor=flavor,
            progress=lambda _name, _number, _count: None,
        )
        cluster = int(reply["cluster"])
        for warning in reply.get("warnings") or ():
            warnings.say(warning)
        if terse:
            click.echo(f"{cluster}.0 - {cluster}.{reply['jobs'] - 1}")
        else:
            click.echo(f"{reply['jobs']} job(s) submitted to cluster {cluster}.")
    if any(job.log for job in submission.jobs):
        _begin_log(reach, cluster)
    if NODES in os.environ:
        _note_node(options, cluster)
    return 0


class _Warnings:
    """Says on standard error what to beware of: at once, or `later`, when all else was said or has failed."""

    def __init__(self, *, later: bool) -> None:
        self._later = later
        self._kept: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._say_all()

    def say(self, text: str) -> None:
        self._kept.append(text)
        if not self._later:
            self._say_all()

    def _say_all(self) -> None:
        for text in self._kept:
            click.echo(f"WARNING: {text}", err=True)
        self._kept.clear()


def _dry_run(submission: Submission, where: str) -> int:
    """Write the ads of the jobs, and submit nothing."""
    now = datetime.now(UTC)
    lines: list[str] = []
    for job in submission.jobs:
        facts = {
            "cluster": 1,
            "proc": job.proc,
            "state": "held" if job.on_hold else "idle",
            "owner": getpass.getuser(),
            "project": "",
            "image": {"name": "", "sha512": ""},
            "flavor": "",
            "executable": job.executable,
            "arguments": job.arguments,
            "priority": job.priority,
            "attempts": 0,
            "batch_name": submission.batch_name,
            "submitted_at": now,
            "entered_at": now,
        }
        ad = job_ad(facts, job.as_dict())
        lines += [f"{name} = {literal(ad[name])}" for name in sorted(ad, key=str.lower)] + [""]
    if where == "-":
        click.echo("\n".join(lines))
    else:
        Path(where).write_text("\n".join(lines) + "\n")
    click.echo("Dry-Run job(s)" + "." * min(len(submission.jobs), 60))
    click.echo(f"{len(submission.jobs)} job(s) dry-run to cluster 1.")
    return 0


def _begin_log(reach: Reach, cluster: int) -> None:
    """Have the event log begin: condor_wait, and programs that read it, go on from there."""
    from armillary.cli.waiting import Following

    Following(
        batch=reach.batch,
        cluster=cluster,
        platform=reach.http.url,
        fetching=False,
        tell=lambda _event, _all: None,
    ).catch_up()


def _note_node(options: Options, cluster: int) -> None:
    """Tell the DAG that has this node where DAGMan wants to read of it."""
    said = dict(line.split("=", 1) for line in options.said.get("append", []) if "=" in line)
    if "dagman_log" in said:
        note_node(
            Path(os.environ[NODES]),
            cluster=cluster,
            log=said["dagman_log"],
            note=said.get("submit_event_notes", ""),
        )


def _text(options: Options) -> str:
    above = [word for word in options.words if "=" in word]
    files = [word for word in options.words if "=" not in word]
    name = options.one("file") or (files[0] if files else "-")
    if len(files) > 1:
        raise Invalid(
            f"several files: {' '.join(files)}", code="bad_option", remedy="Submit one file after the other."
        )
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(
            f"cannot read {name}: {error}", code="unreadable_file", remedy="Is it a text file?"
        ) from error
    lines = [*above, *([f"batch_name = {options.one('batch-name')}"] if "batch-name" in options else [])]
    more = [*options.said.get("append", [])]
    if "queue" in options:
        more.append(" ".join(["queue", *options.said["queue"]]))
    return "\n".join([*lines, *_before_queue(text, more)]) + "\n"


def _before_queue(text: str, more: list[str]) -> list[str]:
    """Put lines in front of the first `queue`, which is where -append has them."""
    lines = text.splitlines()
    at = next(
        (n for n, line in enumerate(lines) if line.strip().lower().split(" ")[0] == "queue"), len(lines)
    )
    return [*lines[:at], *more, *lines[at:]]
