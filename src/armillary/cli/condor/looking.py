"""`condor_tail`, `condor_ssh_to_job` and `condor_wait`."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import rich_click as click

from armillary.base.errors import Invalid
from armillary.cli.condor.options import read
from armillary.cli.condor.reaching import Reach
from armillary.client.targets import read_target

_TAIL = {
    "f": 0,
    "follow": 0,
    "stderr": 0,
    "no-stderr": 0,
    "no-stdout": 0,
    "maxbytes": 1,
    "name": 1,
    "pool": 1,
}
_SSH = {"name": 1, "pool": 1, "ssh": 1, "debug": 0, "auto-retry": 0, "keygen-options": 1, "shells": 1}
_WAIT = {"wait": 1, "num": 1, "status": 0, "echo": 0, "debug": 0}
_SUBMITTED = re.compile(r"^000 \((\d+)\.", re.MULTILINE)
_KEPT = 1024


def condor_tail(arguments: Sequence[str], reach: Reach) -> int:
    """Show the end of what a running job writes: its output, its errors, or any file of it."""
    from armillary.cli.inside import run_inside
    from armillary.cli.reading_logs import print_stream

    options = read(arguments, _TAIL)
    if not options.words:
        raise Invalid("no job is named", code="nothing_chosen", remedy="Say condor_tail 7.3.")
    job, *files = options.words
    job = job if "." in job else f"{job}.0"
    follow = "f" in options or "follow" in options
    kept = options.number("maxbytes") or _KEPT
    if files:
        command = ["tail", "-c", str(kept), *(["-F"] if follow else []), "--", *files]
        return run_inside(job, command, tty_wanted=False, with_input=False)
    stream = "stderr" if "stderr" in options or "no-stdout" in options else "stdout"
    size = reach.batch.log_size(job, stream=stream)
    print_stream(job, stream, follow=follow, skip=max(0, size - kept))
    return 0


def condor_ssh_to_job(arguments: Sequence[str], _reach: Reach) -> int:
    """Open a shell inside of a running job, or run a command there."""
    from armillary.cli.inside import run_inside

    ours, command = _split(arguments)
    options = read(ours, _SSH)
    if not options.words:
        raise Invalid("no job is named", code="nothing_chosen", remedy="Say condor_ssh_to_job 7.3.")
    job = options.words[0]
    return run_inside(
        job if "." in job else f"{job}.0", command, tty_wanted=not command and sys.stdin.isatty()
    )


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What comes after the job is the command, and its options are its own."""
    skip = 0
    for n, word in enumerate(arguments):
        if skip:
            skip -= 1
        elif word.startswith("-"):
            skip = _SSH.get(word.lstrip("-"), 0)
        else:
            return list(arguments[: n + 1]), list(arguments[n + 1 :])
    return list(arguments), []


def condor_wait(arguments: Sequence[str], reach: Reach) -> int:
    """Wait until the jobs of an event log are over, and keep the log meanwhile. Exit status 1: time is up."""
    from armillary.cli.waiting import Following

    options = read(arguments, _WAIT)
    if not options.words:
        raise Invalid("no log is named", code="nothing_chosen", remedy="Say condor_wait jobs.log 7.")
    log, *named = options.words
    clusters = _clusters(Path(log)) if not named else [read_target(text).cluster for text in named]
    limit = options.number("wait")
    deadline = None if limit is None else time.monotonic() + limit
    for cluster in dict.fromkeys(clusters):
        following = Following(
            batch=reach.batch,
            cluster=cluster,
            platform=reach.http.url,
            fetching=False,
            tell=lambda _event, _all: None,
        )
        if not following.run(until_done=True, deadline=deadline):
            click.echo("Time expired.")
            return 1
    click.echo("All jobs done.")
    return 0


def _clusters(log: Path) -> list[int]:
    try:
        return [int(number) for number in _SUBMITTED.findall(log.read_text())]
    except OSError as error:
        raise Invalid(
            f"cannot read {log}: {error.strerror}",
            code="unreadable_file",
            remedy="Is it what `log = …` names?",
        ) from error
