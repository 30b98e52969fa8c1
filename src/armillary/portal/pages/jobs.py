"""Submits of jobs: all of them, and one as a picture with its failures by cause and its jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import JSONResponse, PlainTextResponse, Response

from armillary.base.errors import Invalid, NotFound
from armillary.base.ids import ClusterId
from armillary.batch.model import Selection
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.forms import Form
from armillary.portal.job_filters import STATES, asked
from armillary.portal.jobs_shown import filter_of, jobs_shown, list_shown, submit_shown, submits_shown
from armillary.portal.visit import Visit

DONE = {
    "hold": "held",
    "release": "released",
    "remove": "removed",
    "retry": "retried",
    "priority": "prioritized",
}
_LONGEST_REASON = 500

Number = Annotated[int, Path(ge=0, le=2**53)]
"""of a cluster or of a job in it; the records know no larger ones"""

router = APIRouter()


def act(portal: Portal, visit: Visit, jobs: Selection, action: str, form: Form) -> None:
    """Hold, release, remove, retry jobs, or give them another priority."""
    reason = form.text("reason")[:_LONGEST_REASON]
    match action:
        case "hold":
            portal.batch.hold(visit.who, jobs, reason=reason)
        case "release":
            portal.batch.release(visit.who, jobs, memory_mib=_memory(form.text("memory_mib")))
        case "remove":
            portal.batch.remove(visit.who, jobs, reason=reason)
        case "retry":
            portal.batch.retry(visit.who, jobs)
        case "priority":
            portal.batch.prioritize(visit.who, jobs, _priority(form.text("priority")))
        case _:
            raise NotFound("There is no such page.", code="page_not_found")


def _priority(text: str) -> int:
    if not text.removeprefix("-").isdigit() or not text.isascii() or len(text) > 7:
        raise Invalid("A priority is a whole number.", code="invalid_field", facts={"field": "priority"})
    return int(text)


def _memory(text: str) -> int | None:
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid("This must be a whole number.", code="invalid_field", facts={"field": "memory_mib"})
    return int(text) if text else None


@router.get("/jobs")
def submits(portal: Services, visit: Visiting) -> Response:
    return visit.page("jobs.html", **submits_shown(portal, visit), keeps=portal.archive is not None)


@router.get("/jobs/table")
def submits_table(portal: Services, visit: Visiting) -> Response:
    return visit.page("_jobs.html", **submits_shown(portal, visit))


@router.get("/jobs/{cluster}")
def cluster_page(portal: Services, visit: Visiting, cluster: Number) -> Response:
    return visit.page(
        "cluster.html",
        **submit_shown(portal, visit, cluster),
        **jobs_shown(portal, visit, cluster),
        clouds=portal.board.clouds(visit.who, ClusterId(cluster)),
        states=STATES,
        keeps=portal.archive is not None,
    )


@router.get("/jobs/{cluster}/standing")
def standing(portal: Services, visit: Visiting, cluster: Number) -> Response:
    return visit.page("_standing.html", **submit_shown(portal, visit, cluster))


@router.get("/jobs/{cluster}/causes")
def causes(portal: Services, visit: Visiting, cluster: Number) -> Response:
    return visit.page("_causes.html", **submit_shown(portal, visit, cluster))


@router.get("/jobs/{cluster}/table")
def cluster_table(portal: Services, visit: Visiting, cluster: Number) -> Response:
    return visit.page("_cluster.html", **list_shown(portal, visit, cluster))


@router.get("/jobs/{cluster}/picture")
def picture(
    portal: Services,
    visit: Visiting,
    cluster: Number,
    since: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> Response:
    chosen = filter_of(visit, cluster).chosen
    return JSONResponse(portal.board.picture(visit.who, chosen, since=since).as_dict())


@router.get("/jobs/{cluster}/file")
def submit_file(portal: Services, visit: Visiting, cluster: Number) -> Response:
    text = portal.board.submit_text(visit.who, ClusterId(cluster))
    headers = {"content-disposition": f'attachment; filename="{cluster}.sub"'}
    return PlainTextResponse(text, headers=headers)


@router.post("/jobs/{cluster}/{action}")
def act_on_cluster(portal: Services, visit: Visiting, cluster: Number, action: str, form: Sent) -> Response:
    mine = asked(ClusterId(cluster), form.text)
    act(portal, visit, replace(mine.chosen.chosen, cluster=ClusterId(cluster)), action, form)
    return visit.go(f"/jobs/{cluster}", notice=DONE[action])
