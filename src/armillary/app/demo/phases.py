"""Named phases of a long piece of work, each timed and shown while it runs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from armillary.base.errors import ArmillaryError


class Phases:
    """Times phases and tells about them on `console`."""

    def __init__(self, *, console: Console) -> None:
        self._console = console
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def phase(self, name: str, what: str) -> Generator[None]:
        """Run a block as phase `name`, told to the person as `what`."""
        start = time.monotonic()
        try:
            with self._console.status(f"{what} …"):
                yield
        except (ArmillaryError, OSError, KeyboardInterrupt):
            self._console.print(f"[red]✗[/red] {what} [dim]({time.monotonic() - start:.1f} s)[/dim]")
            raise
        self.seconds[name] = round(time.monotonic() - start, 2)
        self._console.print(f"[green]✓[/green] {what} [dim]({self.seconds[name]:.1f} s)[/dim]")

    def say(self, text: str) -> None:
        """Tell something inside a phase."""
        self._console.print(f"  [dim]{escape(text)}[/dim]", highlight=False, soft_wrap=True)

    def table(self) -> Table:
        """The phases with their seconds."""
        table = Table("phase", "seconds", title="How long each step took")
        for name, seconds in self.seconds.items():
            table.add_row(name, f"{seconds:.1f}")
        table.add_row("all", f"{sum(self.seconds.values()):.1f}", style="bold")
        return table
