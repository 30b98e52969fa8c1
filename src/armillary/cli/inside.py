"""`armillary ssh`: a shell, or a command, inside of a running job. `armillary logs --file` looks through it, too."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import threading
import tty
from collections.abc import Generator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, BinaryIO

import rich_click as click

from armillary.cli.choosing import job_argument
from armillary.cli.session import connect
from armillary.cli.words import argument, context, option

if TYPE_CHECKING:
    from armillary.client.calls import JobCall

_PIECE = 32768
_SIGNALLED = 128
"""exit statuses of a shell for what a signal has ended begin here"""


@click.command(
    epilog="Example: armillary ssh 7.3        (or: armillary ssh 7.3 -- ls -l)",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@option(
    "--tty/--no-tty",
    "-t/-T",
    "terminal",
    default=None,
    help="With a terminal; else as your own input has one.",
)
@job_argument
@argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(terminal: bool | None, name: str, command: tuple[str, ...]) -> None:
    """Open a shell inside of a running job: in its directory, as its user, with its environment.

    The exit status is that of the command. No ssh daemon and no way in are needed: the worker comes to the platform.
    """
    wants = sys.stdin.isatty() if terminal is None else terminal
    status = run_inside(name, command, tty_wanted=wants)
    context().exit(status)


def run_inside(name: str, command: Sequence[str], *, tty_wanted: bool, with_input: bool = True) -> int:
    """Run a command, or a login shell, in a running job, with our own input and output; return its exit status."""
    from armillary.client.calls import STDERR, JobCall

    size = shutil.get_terminal_size()
    wish: dict[str, Any] = {
        "command": list(command) or None,
        "tty": tty_wanted,
        "term": os.environ.get("TERM") or "dumb",
        "rows": size.lines,
        "cols": size.columns,
    }
    with connect() as http, JobCall(http=http, job=name, wish=wish) as call:
        with _terminal(call, raw=tty_wanted), _typing(call, wanted=with_input):
            for said in call.listen():
                _write(sys.stderr.buffer if said.stream == STDERR else sys.stdout.buffer, said.data)
        if call.signal is not None:
            return _SIGNALLED + call.signal
        return call.exit_code or 0


def _write(out: BinaryIO, data: bytes) -> None:
    out.write(data)
    out.flush()


@contextlib.contextmanager
def _terminal(call: JobCall, *, raw: bool) -> Generator[None]:
    """Have every key go to the job, control-C too, and tell it how large the window is."""
    if not raw or not sys.stdin.isatty():
        yield
        return

    def resized(_signal: int, _frame: FrameType | None) -> None:
        size = shutil.get_terminal_size()
        call.resize(size.lines, size.columns)

    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    handler = signal.signal(signal.SIGWINCH, resized)
    tty.setraw(handle, termios.TCSADRAIN)  # what was typed ahead stays
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, handler)
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _typing(call: JobCall, *, wanted: bool) -> Generator[None]:
    """Send what is typed, in a thread that ends with the block."""
    if not wanted:
        call.end_input()
        yield
        return
    done, ended = os.pipe()
    thread = threading.Thread(target=_send_input, args=(call, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.close(ended)
        thread.join()
        os.close(done)


def _send_input(call: JobCall, done: int) -> None:
    handle = sys.stdin.fileno()
    while True:
        ready, _, _ = select.select([handle, done], [], [])
        if done in ready:
            return
        data = os.read(handle, _PIECE)
        if not data:
            call.end_input()
            return
        call.send(data)
