"""Workers: the machines that run jobs, and the clouds where they are."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from armillary.portal.context import Services, Visiting

WORKERS_SHOWN = 100

router = APIRouter()


@router.get("/workers")
def workers(portal: Services, visit: Visiting) -> Response:
    return visit.page("workers.html", workers=portal.batch.workers(visit.who, limit=WORKERS_SHOWN))


@router.get("/workers/table")
def workers_table(portal: Services, visit: Visiting) -> Response:
    return visit.page("_workers.html", workers=portal.batch.workers(visit.who, limit=WORKERS_SHOWN))
