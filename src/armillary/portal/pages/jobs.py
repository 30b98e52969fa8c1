"""Batch jobs: submits and how they stand, one job with its logs, outputs and reasons, and the workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import FileResponse, Response

from armillary.base.errors import ArmillaryError, NotFound
from armillary.base.ids import ClusterId, new_hex
from armillary.batch.model import JobId, Selection
from armillary.fleet.model import FleetFlavor
from armillary.portal.context import Portal, Sent, Services, Visiting, sent
from armillary.portal.pages.images import all_images
from armillary.portal.pages.machines import printable
from armillary.portal.submitting import submit
from armillary.portal.visit import Visit

CLUSTERS_SHOWN = 50
JOBS_SHOWN = 200
WORKERS_SHOWN = 100
TAIL = 65_536
"""Bytes of a log on the page; the whole of it can be downloaded."""
DONE = {"hold": "held", "release": "released", "remove": "removed", "retry": "retried"}

Number = Annotated[int, Path(ge=0, le=2**53)]
"""of a cluster or of a job in it; the records know no larger ones"""

router = APIRouter()


def show_cluster(portal: Portal, visit: Visit, template: str, cluster: int, after: str) -> Response:
    """Answer with a submit and a page of its jobs."""
    who = visit.who
    jobs = portal.batch.jobs(
        who,
        limit=JOBS_SHOWN + 1,
        cluster=ClusterId(cluster),
        after=JobId.parse(after) if after else None,
    )
    following = jobs[JOBS_SHOWN - 1].job if len(jobs) > JOBS_SHOWN else ""
    summary = portal.batch.cluster(who, ClusterId(cluster))
    moving = any(state in summary.states for state in ("idle", "claimed", "running"))
    return visit.page(
        template, cluster=summary, jobs=jobs[:JOBS_SHOWN], following=following, after=after, moving=moving
    )


def show_job(portal: Portal, visit: Visit, template: str, job: JobId) -> Response:
    """Answer with one job and every reason for its state."""
    detail = portal.batch.job(visit.who, job)
    _, reasons = portal.batch.explain(visit.who, job)
    moving = detail.view.state in ("idle", "claimed", "running") or detail.live_attempt is not None
    return visit.page(template, detail=detail, job=detail.view, reasons=reasons, moving=moving)


def show_form(
    portal: Portal, visit: Visit, values: dict[str, str], *, error: ArmillaryError | None = None
) -> Response:
    """Answer with the submit form."""
    known = all_images(portal, visit.member())
    flavors = {flavor.name: flavor for flavor in _flavors(portal, visit)}
    return visit.page(
        "submit.html",
        status=error.status if error else 200,
        images=[image.first for image in known.images if image.settled],
        flavors=flavors.values(),
        values=values,
        key=new_hex(),
        error=error,
    )


def _flavors(portal: Portal, visit: Visit) -> Iterator[FleetFlavor]:
    for cloud in portal.fleet.clouds():
        try:
            yield from portal.fleet.flavors(cloud, visit.project)
        except ArmillaryError:
            continue  # the other clouds may still run the jobs


def act(portal: Portal, visit: Visit, jobs: Selection, action: str) -> None:
    """Hold, release, remove or retry jobs."""
    match action:
        case "hold":
            portal.batch.hold(visit.who, jobs)
        case "release":
            portal.batch.release(visit.who, jobs)
        case "remove":
            portal.batch.remove(visit.who, jobs)
        case "retry":
            portal.batch.retry(visit.who, jobs)
        case _:
            raise NotFound("There is no such page.", code="page_not_found")


@router.get("/jobs")
def clusters(portal: Services, visit: Visiting) -> Response:
    found = portal.batch.clusters(visit.who, limit=CLUSTERS_SHOWN)
    return visit.page("jobs.html", clusters=found)


@router.get("/jobs/table")
def clusters_table(portal: Services, visit: Visiting) -> Response:
    found = portal.batch.clusters(visit.who, limit=CLUSTERS_SHOWN)
    return visit.page("_jobs.html", clusters=found)


@router.get("/jobs/submit")
def submit_form(portal: Services, visit: Visiting, image: str = "") -> Response:
    return show_form(portal, visit, {"image": image})


@router.post("/jobs/submit")
def submit_sent(portal: Services, visit: Visiting, form: Sent) -> Response:
    visit.member()
    try:
        queued = submit(portal.batch, visit, form)
    except ArmillaryError as error:
        return show_form(portal, visit, form.values(), error=error)
    return visit.go(f"/jobs/{queued.cluster}", notice="submitted")


@router.get("/jobs/{cluster}")
def cluster_page(portal: Services, visit: Visiting, cluster: Number, after: str = "") -> Response:
    return show_cluster(portal, visit, "cluster.html", cluster, after)


@router.get("/jobs/{cluster}/table")
def cluster_table(portal: Services, visit: Visiting, cluster: Number, after: str = "") -> Response:
    return show_cluster(portal, visit, "_cluster.html", cluster, after)


@router.post("/jobs/{cluster}/{action}", dependencies=[Depends(sent)])
def act_on_cluster(portal: Services, visit: Visiting, cluster: Number, action: str) -> Response:
    act(portal, visit, Selection(cluster=ClusterId(cluster)), action)
    return visit.go(f"/jobs/{cluster}", notice=DONE[action])


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


@router.post("/jobs/{cluster}/{proc}/{action}", dependencies=[Depends(sent)])
def act_on_job(portal: Services, visit: Visiting, cluster: Number, proc: Number, action: str) -> Response:
    act(portal, visit, Selection(cluster=ClusterId(cluster), proc=proc), action)
    return visit.go(f"/jobs/{cluster}/{proc}", notice=DONE[action])


@router.get("/workers")
def workers(portal: Services, visit: Visiting) -> Response:
    return visit.page("workers.html", workers=portal.batch.workers(visit.who, limit=WORKERS_SHOWN))


@router.get("/workers/table")
def workers_table(portal: Services, visit: Visiting) -> Response:
    return visit.page("_workers.html", workers=portal.batch.workers(visit.who, limit=WORKERS_SHOWN))


def _stream(name: str) -> str:
    if name not in ("stdout", "stderr"):
        raise NotFound("There is no such page.", code="page_not_found")
    return name
