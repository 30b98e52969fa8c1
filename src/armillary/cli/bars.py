"""How far bytes have come, in one line that moves: on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import rich_click as click

from armillary.base.units import format_size

_BAR = 30
_STEP = 0.1
"""seconds between two drawings"""
Begin = Callable[[int], Callable[[int], None]]


@contextmanager
def bar(what: str) -> Generator[Begin]:
    """Draw how far `what` has come, once its size is told; whoever reads a file or a pipe sees nothing."""
    drawn = [False]

    def begin(total: int) -> Callable[[int], None]:
        done, last = 0, 0.0

        def tell(octets: int) -> None:
            nonlocal done, last
            done += octets
            now = time.monotonic()
            if now - last >= _STEP or done >= total:
                last = now
                drawn[0] = True
                full = "█" * (_BAR * min(done, total) // max(1, total))
                words = f"{format_size(done)} of {format_size(total)}"
                click.echo(f"\r\x1b[K{what} {full:░<{_BAR}} {words}", err=True, nl=False)

        return tell if sys.stderr.isatty() else lambda _octets: None

    try:
        yield begin
    finally:
        if drawn[0]:
            click.echo("", err=True)
