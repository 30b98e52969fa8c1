"""One job: why it stands so, its attempts, logs, results, and what it used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import FileResponse, Response, StreamingResponse

from armillary.base.errors import ArmillaryError, NotFound
from armillary.base.ids import ClusterId
from armillary.batch.model import JobId, Selection
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.inside.printing import printable
from armillary.portal.job_shown import files_of, in_vospace, log_end, used_of
from armillary.portal.pages.jobs import DONE, Number, act
from armillary.portal.visit import Visit

STEP = 262_144
"""Bytes of a log that are sent at once."""
FOUND = 200
"""Lines that a search shows."""
STREAMS = ("stdout", "stderr")

Attempt = Annotated[int | None, Query(ge=1, le=10**6)]

router = APIRouter()


def _shown(portal: Portal, visit: Visit, job: JobId) -> dict[str, Any]:
    """Return one job and every reason for its state."""
    detail = portal.batch.job(visit.who, job)
    _, reasons = portal.batch.explain(visit.who, job)
    view = detail.view
    failed = view.state == "completed" and view.succeeded is False
    return {
        "detail": detail,
        "job": view,
        "shown_state": "failed" if failed else view.state,
        "again": failed or view.state == "removed",
        "reasons": reasons,
        "used": used_of(visit, detail),
        "moving": view.state in ("idle", "claimed", "running") or detail.live_attempt is not None,
    }


def _record(portal: Portal, visit: Visit, job: JobId, state: str) -> dict[str, Any]:
    """Return what is written down of a job that is over, and whether its signatures hold."""
    shown: dict[str, Any] = {"record": None, "shared": None, "intact": False, "unrecorded": None}
    if portal.provenance is None or state not in ("completed", "removed"):
        return shown
    try:
        signed, shared = portal.provenance.record(visit.who, job)
    except ArmillaryError as error:  # that there is none yet is told on the page of the record
        return shown | {"unrecorded": error if error.code == "record_impossible" else None}
    intact = portal.provenance.is_signed(signed) and portal.provenance.is_signed(shared)
    return shown | {"record": signed.record, "shared": shared.record, "intact": intact}


@router.get("/jobs/{cluster}/{proc}")
def job_page(
    portal: Services, visit: Visiting, cluster: Number, proc: Number, attempt: Attempt = None
) -> Response:
    job = JobId(ClusterId(cluster), proc)
    shown = _shown(portal, visit, job)
    return visit.page(
        "job.html",
        **shown,
        **_record(portal, visit, job, shown["job"].state),
        keeps=portal.archive is not None,
        attempt=attempt,
        logs=[log_end(portal, visit, job, stream, attempt) for stream in STREAMS],
        inputs=files_of(shown["detail"]),
        in_vospace=in_vospace,
        has_records=portal.provenance is not None,
        submit_text=portal.board.submit_text(visit.who, job.cluster),
    )


@router.get("/jobs/{cluster}/{proc}/state")
def job_state(portal: Services, visit: Visiting, cluster: Number, proc: Number) -> Response:
    return visit.page("_job.html", **_shown(portal, visit, JobId(ClusterId(cluster), proc)))


@router.get("/jobs/{cluster}/{proc}/log/{stream}")
def log(
    portal: Services,
    visit: Visiting,
    cluster: Number,
    proc: Number,
    stream: str,
    attempt: Attempt = None,
    text: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    job = JobId(ClusterId(cluster), proc)
    end = log_end(portal, visit, job, _stream(stream), attempt)
    found = None
    if text:
        lines = portal.batch.search_log(visit.who, job, stream, text, attempt=attempt, most=FOUND)
        found = [(line.offset, printable(line.text)) for line in lines]
    return visit.page("log.html", job=job, end=end, attempt=attempt, text=text, found=found, most=FOUND)


@router.get("/jobs/{cluster}/{proc}/log/{stream}/bytes")
def log_bytes(
    portal: Services,
    visit: Visiting,
    cluster: Number,
    proc: Number,
    stream: str,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    attempt: Attempt = None,
) -> Response:
    """Bytes from an offset: `x-log-next` is where to go on, `x-log-over` whether no more will come."""
    job = JobId(ClusterId(cluster), proc)
    piece, over = portal.batch.read_log(
        visit.who, job, _stream(stream), offset=offset, attempt=attempt, limit=STEP
    )
    following = piece.offset + len(piece.data)
    headers = {
        "x-log-next": str(following),
        "x-log-over": "yes" if over and following >= piece.size else "",
        "cache-control": "no-store",
    }
    return Response(piece.data, media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/jobs/{cluster}/{proc}/log/{stream}/file")
def log_file(
    portal: Services, visit: Visiting, cluster: Number, proc: Number, stream: str, attempt: Attempt = None
) -> Response:
    job, who = JobId(ClusterId(cluster), proc), visit.who
    first, _ = portal.batch.read_log(who, job, _stream(stream), offset=0, attempt=attempt)

    def pieces() -> Iterator[bytes]:
        piece = first
        while piece.data:
            yield piece.data
            following = piece.offset + len(piece.data)
            piece, _ = portal.batch.read_log(who, job, stream, offset=following, attempt=attempt)

    headers = {"content-disposition": f'attachment; filename="{cluster}.{proc}.{stream}.txt"'}
    return StreamingResponse(pieces(), media_type="application/octet-stream", headers=headers)


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
    if name not in STREAMS:
        raise NotFound("There is no such page.", code="page_not_found")
    return name
