"""`armillary hold`, `release`, `remove`, `retry` and `priority`: change one job, or a hundred thousand."""

from __future__ import annotations

from typing import Any

import rich_click as click

from armillary.cli.choosing import choices, selections
from armillary.cli.output import Voice, emit_one, say, voice, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, option

_reason = option("--reason", default="", help="Kept with the jobs.")


def _change(
    action: str,
    done: str,
    *,
    reason: str = "",
    priority: int | None = None,
    memory_mib: int | None = None,
    **chosen: Any,
) -> None:
    from armillary.client.batch import Batch

    changed = 0
    with connect() as http:
        batch = Batch(http=http)
        for selection in selections(http, **chosen):
            changed += batch.change_many(
                action, selection, reason=reason, priority=priority, memory_mib=memory_mib
            )
    say(f"{changed} job(s) {done}.")
    if voice() is Voice.JSON:
        emit_one({"targets": list(chosen["targets"]), "changed": changed}, fields=[], identity="changed")


@click.command(epilog="Example: armillary hold 12 13.4 14.0-99 --reason 'wrong threshold'")
@choices
@_reason
@voices
def hold(reason: str, **chosen: Any) -> None:
    """Hold jobs: running ones are ended, none starts."""
    _change("hold", "held", reason=reason, **chosen)


@click.command(epilog="Example: armillary release 12 --hold-code memory_exceeded --memory 2048")
@choices
@option("--memory", type=click.IntRange(1), metavar="MIB", help="Have them ask for so much from now on.")
@voices
def release(memory: int | None, **chosen: Any) -> None:
    """Let held jobs run."""
    _change("release", "released", memory_mib=memory, **chosen)


@click.command(epilog="Example: armillary remove 12 13.4")
@choices
@_reason
@voices
def remove(reason: str, **chosen: Any) -> None:
    """Remove jobs; running ones are ended."""
    _change("remove", "removed", reason=reason, **chosen)


@click.command(
    epilog="Example: armillary retry 12 --failed       (or --exit-code 3, --signal 9, --hold-code 34)"
)
@choices
@voices
def retry(**chosen: Any) -> None:
    """Run jobs again that failed, were held or were removed: all of them, or those that failed for a cause."""
    _change("retry", "will run again", **chosen)


@click.command(
    epilog="Example: armillary priority 10 12 13.4", context_settings={"ignore_unknown_options": True}
)
@argument("value", type=click.IntRange(-1_000_000, 1_000_000), metavar="PRIORITY")
@choices
@voices
def priority(value: int, **chosen: Any) -> None:
    """Give waiting jobs another priority among yours: the higher, the sooner. Others' jobs are not passed by it."""
    _change("prioritize", f"now have priority {value}", priority=value, **chosen)
