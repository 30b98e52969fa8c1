"""Workers: the machines that run jobs, the clouds where they are with their load over time, and what was used."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from armillary.base.errors import Invalid
from armillary.batch.reports import DIMENSIONS, UsageFilter, UsageLine
from armillary.portal.context import Portal, Services, Visiting
from armillary.portal.visit import Visit

WORKERS_SHOWN = 100
LINES_SHOWN = 500
LINES_SENT = 10_000
SPANS = {"1": 1, "6": 6, "24": 24, "168": 168, "720": 720}
"""hours that one can look back"""
SUMS = ("jobs", "failed", "attempts", "core_hours", "cpu_hours", "memory_gib_hours", "wait_seconds")

router = APIRouter()


def _workers(portal: Portal, visit: Visit) -> dict[str, Any]:
    query = visit.request.query_params
    gone, after = query.get("gone", "") == "1", query.get("after", "")[:64]
    found = portal.batch.workers(visit.who, limit=WORKERS_SHOWN + 1, marker=after or None, gone=gone)
    following = found[WORKERS_SHOWN - 1].worker if len(found) > WORKERS_SHOWN else ""
    kept = "gone=1&" if gone else ""
    return {
        "workers": found[:WORKERS_SHOWN],
        "gone": gone,
        "query": str(query),
        "first_page": f"/workers?{kept}" if after else None,
        "following": f"/workers?{kept}after={following}" if following else None,
        "now": portal.board.load.now(visit.who),
    }


@router.get("/workers")
def workers(portal: Services, visit: Visiting, hours: str = "24") -> Response:
    return visit.page(
        "workers.html", **_workers(portal, visit), hours=hours if hours in SPANS else "24", spans=SPANS
    )


@router.get("/workers/table")
def workers_table(portal: Services, visit: Visiting) -> Response:
    return visit.page("_workers.html", **_workers(portal, visit))


@router.get("/workers/load")
def load(portal: Services, visit: Visiting, hours: str = "24") -> Response:
    points = portal.board.load.series(visit.who, hours=SPANS.get(hours, 24))
    times = sorted({int(point.at.timestamp()) for point in points})
    place = {moment: index for index, moment in enumerate(times)}
    clouds: dict[str, dict[str, list[float | None]]] = {}
    for point in points:
        lines = clouds.setdefault(
            point.cloud, {name: [None] * len(times) for name in ("workers", "cores", "busy", "jobs")}
        )
        for name, line in lines.items():
            line[place[int(point.at.timestamp())]] = round(float(getattr(point, name)), 2)
    return JSONResponse({"times": times, "clouds": clouds})


@router.get("/jobs/usage")
def usage(
    portal: Services, visit: Visiting, by: Annotated[list[str] | None, Query(max_length=5)] = None
) -> Response:
    lines, more = _used(portal, visit, by, LINES_SHOWN)
    query = visit.request.query_params
    return visit.page(
        "jobs_usage.html",
        lines=lines,
        more=more,
        by=_dimensions(by),
        dimensions=DIMENSIONS,
        values={name: query.get(name, "") for name in ("since", "until")},
        query=str(query),
    )


@router.get("/jobs/usage.csv")
def usage_csv(
    portal: Services, visit: Visiting, by: Annotated[list[str] | None, Query(max_length=5)] = None
) -> Response:
    lines, _ = _used(portal, visit, by, LINES_SENT)
    shown = _dimensions(by)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*shown, *SUMS, "failures"])
    for line in lines:
        causes = " ".join(f"{cause}:{count}" for cause, count in line.failures.items())
        writer.writerow([*(_harmless(getattr(line, name)) for name in (*shown, *SUMS)), causes])
    headers = {"content-disposition": 'attachment; filename="usage.csv"'}
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _harmless(value: object) -> object:
    """Keep spreadsheets from taking a name for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value


def _used(portal: Portal, visit: Visit, by: list[str] | None, limit: int) -> tuple[list[UsageLine], bool]:
    query = visit.request.query_params
    chosen = UsageFilter(since=_day(query.get("since")), until=_day(query.get("until")))
    return portal.office.reports.usage(visit.who, chosen, by=_dimensions(by), limit=limit)


def _dimensions(by: list[str] | None) -> list[str]:
    return [name for name in DIMENSIONS if name in by] if by else ["day", "project"]


def _day(text: str | None) -> date | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise Invalid(
            f"{text!r} is no day.",
            code="invalid_field",
            facts={"field": "since"},
            remedy="Write 2026-11-23, say.",
        ) from None
