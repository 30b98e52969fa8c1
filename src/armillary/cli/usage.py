"""`armillary usage`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import rich_click as click

from armillary.cli.output import Columns, emit, emit_one, say, voices
from armillary.cli.session import choose_project, connect
from armillary.cli.words import option

DIMENSIONS = ("day", "project", "owner", "cloud", "image")
_SUMS = (
    "jobs",
    "failed",
    "attempts",
    "core_hours",
    "cpu_hours",
    "memory_gib_hours",
    "wait_seconds",
)


@click.command(epilog="Example: armillary usage --by day --by cloud --since 2026-11-01")
@option(
    "--by",
    multiple=True,
    type=click.Choice(DIMENSIONS),
    default=("project", "owner"),
    show_default=True,
    help="A line for each; give it again for more.",
)
@option("--since", metavar="DAY", help="The first day, such as 2026-11-01 (UTC).")
@option("--until", metavar="DAY", help="The last day.")
@option("--project", help="Of this project.")
@option("--owner", metavar="USER", help="Of this person.")
@option("--cloud", help="On this cloud.")
@option("--image", metavar="SHA512", help="Of the image with this digest, or the beginning of it.")
@option(
    "--forecast", is_flag=True, help="When the core-hours of this month are spent, of --project or your own."
)
@option("--csv", "as_csv", is_flag=True, help="Print CSV, with hours and causes of failures.")
@voices
def usage(
    by: tuple[str, ...],
    since: str | None,
    until: str | None,
    project: str | None,
    owner: str | None,
    cloud: str | None,
    image: str | None,
    as_csv: bool,
    forecast: bool,
) -> None:
    """Show what batch jobs have used: of your projects, of yourself, and of everybody for administrators.

    CORE-H are asked for (cores times the time on a worker), CPU-H were worked, WAIT is from the submit to the first worker.
    """
    from armillary.client.batch import Batch

    if forecast:
        with connect() as http:
            _show_ahead(Batch(http=http).outlook(choose_project(http, project)))
        return
    chosen = {
        "since": since,
        "until": until,
        "project": project,
        "owner": owner,
        "cloud": cloud,
        "image": image,
    }
    with connect() as http:
        reply = Batch(http=http).usage(by=by, **chosen)
    lines: list[dict[str, Any]] = reply["usage"]
    shown = [name for name in DIMENSIONS if name in by]
    if as_csv:
        _write_csv(lines, shown)
    else:
        emit(lines, columns=_columns(shown), identity=shown[0], empty="Nothing has been used yet.")
    if reply["more"]:
        say("There is more: ask for fewer days, or for one project.")


def _show_ahead(told: Mapping[str, Any]) -> None:
    fields: Columns = [
        ("Project", "project"),
        ("Cores now", lambda one: f"{one['cores']} of {one['granted_cores']}"),
        ("Core-hours this month", lambda one: f"{one['core_hours']:.1f}" + _of(one["budget"])),
        ("A day takes", lambda one: "" if one["pace"] is None else f"{one['pace']:.1f} core-hours"),
        ("Gone on", "gone_on"),
        ("New hours on", "renewed_on"),
    ]
    emit_one(told, fields=fields, identity="project")
    if told["budget"] is None:
        say("Core-hours of this project have no limit.")
    elif told["gone_on"] is None:
        say("At this pace they last until there are new ones.")


def _of(budget: float | None) -> str:
    return "" if budget is None else f" of {budget:g}"


def _columns(shown: Sequence[str]) -> Columns:
    columns: Columns = [(name.upper(), _digest if name == "image" else name) for name in shown]
    return [
        *columns,
        ("JOBS", "jobs"),
        ("FAILED", "failed"),
        ("CORE-H", lambda line: f"{line['core_hours']:.2f}"),
        ("CPU-H", lambda line: f"{line['cpu_hours']:.2f}"),
        ("WAIT", lambda line: _span(line["wait_seconds"])),
        ("FAILURES", lambda line: _causes(line["failures"])),
    ]


def _digest(line: Mapping[str, Any]) -> str:
    return str(line["image"] or "")[:12]


def _span(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}"


def _causes(failures: Mapping[str, int]) -> str:
    return " ".join(f"{cause}:{count}" for cause, count in failures.items())


def _write_csv(lines: Sequence[Mapping[str, Any]], shown: Sequence[str]) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow([*shown, *_SUMS, "failures"])
    for line in lines:
        out.writerow([*(line[name] for name in (*shown, *_SUMS)), _causes(line["failures"])])
