"""One job: why it stands so, its attempts, logs, results, and what it used."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import FileResponse, Response

from armillary.base.errors import NotFound
from armillary.base.ids import ClusterId
from armillary.batch.model import JobId, Selection
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.pages.jobs import DONE, Number, act
from armillary.portal.pages.machines import printable
from armillary.portal.visit import Visit

TAIL = 65_536
"""Bytes of a log on the page; the whole of it can be downloaded."""

router = APIRouter()


def show_job(portal: Portal, visit: Visit, template: str, job: JobId) -> Response:
    """Answer with one job and every reason for its state."""
    detail = portal.batch.job(visit.who, job)
    _, reasons = portal.batch.explain(visit.who, job)
    moving = detail.view.state in ("idle", "claimed", "running") or detail.live_attempt is not None
    return visit.page(template, detail=detail, job=detail.view, reasons=reasons, moving=moving)


@router.get("/jobs/{cluster}/{proc}")
def job_page(portal: Services, visit: Visiting, cluster: Number, proc: Number) -> Response:
    return show_job(portal, visit, "job.html", JobId(ClusterId(cluster), proc))


@router.get("/jobs/{cluster}/{proc}/state")
def job_state(portal: Services, visit: Visiting, cluster: Number, proc: Number) -> Response:
    return show_job(portal, visit, "_job.html", JobId(ClusterId(cluster), proc))


@router.get("/jobs/{cluster}/{proc}/log/{stream}")
def log(portal: Services, visit: Visiting, cluster: Number, proc: Number, stream: str) -> Response:
    job = JobId(ClusterId(cluster), proc)
    piece, over = portal.batch.read_log(visit.who, job, _stream(stream), offset=0, limit=TAIL)
    if piece.size > TAIL:
        piece, over = portal.batch.read_log(visit.who, job, stream, offset=piece.size - TAIL, limit=TAIL)
    return visit.page(
        "_log.html",
        text=printable(piece.data.decode(errors="replace")),
        cut=piece.size > TAIL,
        moving=not over,
        path=f"/jobs/{cluster}/{proc}/log/{stream}",
    )


@router.get("/jobs/{cluster}/{proc}/outputs/{name:path}")
def output(portal: Services, visit: Visiting, cluster: Number, proc: Number, name: str) -> Response:
    found, file = portal.batch.output(visit.who, JobId(ClusterId(cluster), proc), name)
    return FileResponse(
        file, media_type="application/octet-stream", filename=found.name.rsplit("/", maxsplit=1)[-1]
    )


@router.post("/jobs/{cluster}/{proc}/{action}")
def act_on_job(
    portal: Services, visit: Visiting, cluster: Number, proc: Number, action: str, form: Sent
) -> Response:
    act(portal, visit, Selection(cluster=ClusterId(cluster), proc=proc), action, form)
    return visit.go(f"/jobs/{cluster}/{proc}", notice=DONE[action])


def _stream(name: str) -> str:
    if name not in ("stdout", "stderr"):
        raise NotFound("There is no such page.", code="page_not_found")
    return name
