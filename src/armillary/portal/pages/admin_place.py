"""For administrators: the clouds, what everybody is told, who did what, and who used how much."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from armillary.accounts.trail import Asked, Entry
from armillary.base.clock import to_iso
from armillary.base.errors import ArmillaryError, Invalid
from armillary.base.ids import CloudName
from armillary.batch.draining import Drained
from armillary.batch.reports import MOST_ROWS, UsageLine
from armillary.batch.store.usage_records import DIMENSIONS, UsageFilter
from armillary.fleet.parts import Capacity
from armillary.notices.announcements import Level
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.visit import Visit

PAGE = 100
_DAYS = 30
_YEARS = range(1970, 9000)
"""At the ends of the calendar there are no neighbouring days to reckon with."""
router = APIRouter(prefix="/admin")


@dataclass(frozen=True, kw_only=True)
class CloudState:
    """One cloud as an administrator sees it. `error`: it does not answer."""

    name: CloudName
    capacity: Capacity | None = None
    error: ArmillaryError | None = None
    drained: Drained | None = None


@router.get("/clouds")
def clouds(portal: Services, visit: Visiting) -> Response:
    visit.need_admin()
    return visit.page("admin_clouds.html", clouds=[_state(portal, name) for name in portal.fleet.clouds()])


def _state(portal: Portal, name: CloudName) -> CloudState:
    drained = portal.office.draining.drained().get(name)
    try:
        return CloudState(name=name, capacity=portal.fleet.capacity(name), drained=drained)
    except ArmillaryError as error:
        return CloudState(name=name, error=error, drained=drained)


@router.post("/clouds/{cloud}/drain")
def drain(portal: Services, visit: Visiting, form: Sent, cloud: str) -> Response:
    visit.need_admin()
    portal.office.draining.drain(visit.who, CloudName(cloud), reason=form.text("reason"))
    return visit.go("/admin/clouds", notice="cloud-drained")


@router.post("/clouds/{cloud}/resume")
def resume(portal: Services, visit: Visiting, form: Sent, cloud: str) -> Response:
    visit.need_admin()
    portal.office.draining.resume(visit.who, CloudName(cloud))
    return visit.go("/admin/clouds", notice="cloud-resumed")


def show_announcements(
    portal: Portal,
    visit: Visit,
    values: dict[str, str],
    *,
    status: int = 200,
    error: ArmillaryError | None = None,
) -> Response:
    return visit.page(
        "admin_announcements.html",
        status=status,
        announcements=portal.office.announcements.all(),
        levels=list(Level),
        values=values,
        now=portal.clock.now(),
        error=error,
    )


@router.get("/announcements")
def announcements(portal: Services, visit: Visiting) -> Response:
    visit.need_admin()
    now = portal.clock.now()
    values = {"since": _local(now), "until": _local(now + timedelta(days=1)), "level": Level.INFO.value}
    return show_announcements(portal, visit, {**values, **dict(visit.request.query_params)})


@router.post("/announcements")
def announce(portal: Services, visit: Visiting, form: Sent) -> Response:
    by = visit.need_admin()
    levels = [level for level in Level if level.value == form.text("level")]
    try:
        made = portal.office.announcements.announce(
            level=levels[0] if levels else Level.INFO,
            en=form.text("en"),
            fr=form.text("fr"),
            since=_moment(form.text("since"), "since"),
            until=_moment(form.text("until"), "until"),
            by=by.user_name,
        )
    except ArmillaryError as error:
        return show_announcements(portal, visit, form.values(), status=error.status, error=error)
    if form.flag("notify"):
        portal.office.notices.notify_all([person.id for person in portal.accounts.people()], made)
    return visit.go("/admin/announcements", notice="announced")


@router.post("/announcements/{announcement_id}/end")
def end(portal: Services, visit: Visiting, form: Sent, announcement_id: str) -> Response:
    visit.need_admin()
    portal.office.announcements.end(announcement_id)
    return visit.go("/admin/announcements", notice="announcement-ended")


def _local(moment: datetime) -> str:
    """Render a moment as the browser's field has it; it is in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")


def _moment(text: str, field: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
        if moment.year not in _YEARS:
            raise ValueError
        return moment
    except ValueError as error:
        raise Invalid(
            "This is no moment.",
            code="invalid_field",
            facts={"field": field, "errors": {field: "This is no moment."}},
            remedy="Write it like 2026-03-14T12:00.",
        ) from error


def _day(text: str, field: str) -> date | None:
    return _moment(text, field).date() if text else None


def asked_for(visit: Visit) -> Asked:
    """Read what of the trail is asked for from the address."""
    query = visit.request.query_params
    result = query.get("result", "")
    since, until = _day(query.get("since", ""), "since"), _day(query.get("until", ""), "until")
    return Asked(
        who=query.get("who", "").strip(),
        words=query.get("words", "").strip(),
        origin=query.get("origin", "").strip(),
        refused={"refused": True, "done": False}.get(result),
        since=datetime(since.year, since.month, since.day, tzinfo=UTC) if since else None,
        until=datetime(until.year, until.month, until.day, tzinfo=UTC) + timedelta(days=1) if until else None,
    )


@router.get("/trail")
def trail(
    portal: Services, visit: Visiting, before: Annotated[int | None, Query(le=2**62)] = None
) -> Response:
    visit.need_admin()
    found = portal.office.trail.entries(asked_for(visit), before=before, limit=PAGE + 1)
    query = {name: value for name, value in visit.request.query_params.items() if name != "before"}
    older = (
        f"/admin/trail?{urlencode({**query, 'before': str(found[PAGE - 1].id)})}"
        if len(found) > PAGE
        else None
    )
    return visit.page(
        "admin_trail.html",
        entries=found[:PAGE],
        query=query,
        older=older,
        newest=f"/admin/trail?{urlencode(query)}" if before else None,
        table=f"/admin/trail.csv?{urlencode(query)}",
    )


@router.get("/trail.csv")
def trail_csv(portal: Services, visit: Visiting) -> Response:
    visit.need_admin()
    head = ("at", "who", "act", "target", "origin", "status", "said")
    return as_csv("trail", head, (_row(entry) for entry in portal.office.trail.all(asked_for(visit))))


def _row(entry: Entry) -> Sequence[object]:
    return (to_iso(entry.at), entry.who, entry.act, entry.target, entry.origin, entry.status, entry.said)


USAGE_HEAD = ("jobs", "failed", "attempts", "core_hours", "cpu_hours", "memory_gib_hours", "wait_seconds")


def usage_of(portal: Portal, visit: Visit) -> tuple[list[str], dict[str, str], list[UsageLine], bool]:
    """Read what use is asked for from the address: by what, the filter, the lines, and whether there are more."""
    query = visit.request.query_params
    by = [name for name in DIMENSIONS if name in query.getlist("by")] or ["project"]
    today = portal.clock.now().date()
    since = _day(query.get("since", ""), "since") or today - timedelta(days=_DAYS)
    until = _day(query.get("until", ""), "until") or today
    names = {name: query.get(name, "").strip() for name in ("project", "owner", "cloud", "image")}
    chosen = UsageFilter(since=since, until=until, **{name: value or None for name, value in names.items()})
    lines, more = portal.office.reports.usage(visit.who, chosen, by=by, limit=MOST_ROWS)
    return by, {**names, "since": since.isoformat(), "until": until.isoformat()}, lines, more


@router.get("/usage")
def usage(portal: Services, visit: Visiting) -> Response:
    visit.need_admin()
    by, values, lines, more = usage_of(portal, visit)
    pairs = [*(("by", name) for name in by), *((n, v) for n, v in values.items() if v)]
    return visit.page(
        "admin_usage.html",
        by=by,
        dimensions=DIMENSIONS,
        values=values,
        lines=lines[:PAGE],
        more=more or len(lines) > PAGE,
        table=f"/admin/usage.csv?{urlencode(pairs)}",
    )


@router.get("/records")
def records(portal: Services, visit: Visiting) -> Response:
    visit.need_admin()
    gaps, count = portal.provenance.gaps(PAGE) if portal.provenance else ([], 0)
    return visit.page("admin_records.html", gaps=gaps, more=count - len(gaps))


@router.get("/usage.csv")
def usage_csv(portal: Services, visit: Visiting) -> Response:
    visit.need_admin()
    by, _, lines, _ = usage_of(portal, visit)
    rows = ([getattr(line, name) for name in (*by, *USAGE_HEAD)] for line in lines)
    return as_csv("usage", (*by, *USAGE_HEAD), rows)


def as_csv(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """Answer with a table to download (RFC 4180), row by row."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(_lines(head, rows), media_type="text/csv; charset=utf-8", headers=headers)


def _lines(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield _line(head)
    for row in rows:
        yield _line(row)


def _line(row: Sequence[object]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(["" if cell is None else _harmless(cell) for cell in row])
    return out.getvalue()


def _harmless(cell: object) -> object:
    """A spreadsheet runs what begins like a formula; a name of somebody's is a name."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return cell
