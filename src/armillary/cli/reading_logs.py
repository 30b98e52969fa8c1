"""`armillary logs`: what jobs have written, live and kept, of any attempt, and any file of a running job."""

from __future__ import annotations

import sys
import time

import rich_click as click

from armillary.cli.choosing import job_argument
from armillary.cli.output import say
from armillary.cli.session import connect
from armillary.cli.words import context, option
from armillary.client.errors import Unreachable


@click.command(
    epilog="Example: armillary logs -f 7.3        (a file of a running job: armillary logs -f 7.3 --file fit.log)"
)
@job_argument
@option("--follow", "-f", is_flag=True, help="Go on until the job ends.")
@option("--stderr", "stream", flag_value="stderr", help="What it wrote to standard error.")
@option("--stdout", "stream", flag_value="stdout", default=True, help="What it wrote to standard output.")
@option(
    "--attempt", type=click.IntRange(1), help="Of this attempt; else of the one that counts, or the last."
)
@option("--file", "file", metavar="PATH", help="Any file in the directory of a running job.")
@option("--lines", "-n", type=click.IntRange(0), help="With --file: only its last lines.")
def logs(
    name: str, follow: bool, stream: str, attempt: int | None, file: str | None, lines: int | None
) -> None:
    """Print what a job has written. It can be read while the job runs, and after it has ended."""
    if file is None:
        print_stream(name, stream or "stdout", follow=follow, attempt=attempt)
        return
    from armillary.cli.inside import run_inside

    begin = ["-n", str(lines)] if lines is not None else ["-n", "+1"]
    command = ["tail", *begin, *(["-F"] if follow else []), "--", file]
    context().exit(run_inside(name, command, tty_wanted=False, with_input=False))


def print_stream(name: str, stream: str, *, follow: bool, attempt: int | None = None, skip: int = 0) -> None:
    """Copy a stream to standard output, from `skip` on; following survives that the platform is away for a while."""
    from armillary.client.batch import Batch

    offset, complete, told = skip, False, False
    with connect() as http:
        batch = Batch(http=http)
        while True:
            try:
                data, following, complete = batch.log(name, stream=stream, offset=offset, attempt=attempt)
            except Unreachable as error:
                if not follow:
                    raise
                if not told:
                    say(f"{error.message}; waiting for it. The job goes on.")
                told = True
                time.sleep(2)
                continue
            told = False
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            moved, offset = following > offset, following
            if complete or (not follow and not moved):
                return
            if not moved:
                time.sleep(1)
