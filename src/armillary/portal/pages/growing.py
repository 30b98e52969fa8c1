"""More for the project: a request that begins on the bar that is full, filled in already."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter
from starlette.responses import Response

from armillary.accounts.core.rules import LIMITS
from armillary.accounts.core.suggesting import FIGURES
from armillary.accounts.model import Allocation
from armillary.base.errors import ArmillaryError
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.overview import cloud_bars
from armillary.portal.visit import Visit

router = APIRouter(prefix="/applications/more")


def typed(allocation: Allocation) -> dict[str, str]:
    """Return the figures as the form has them: RAM in GiB."""
    return {
        "cores": str(allocation.cores),
        "ram": str(-(-allocation.ram // 1024)),
        "disk": str(allocation.disk),
        "storage": str(allocation.storage),
        "batch_cores": str(allocation.batch_cores),
    }


def doubled(allocation: Allocation, figure: str) -> Allocation:
    """Return an allocation with twice as much of one figure, and of RAM with cores: a machine needs both."""
    names = {"cores": ("cores", "ram"), "ram": ("ram",)}.get(figure, (figure,) if figure in FIGURES else ())
    most = {name: min(LIMITS[name][1], max(1, 2 * getattr(allocation, name))) for name in names}
    return replace(allocation, **most)


def show(
    portal: Portal,
    visit: Visit,
    values: dict[str, str],
    *,
    status: int = 200,
    error: ArmillaryError | None = None,
) -> Response:
    bars, _ = cloud_bars(portal, visit.project)
    return visit.page("more.html", status=status, values=values, bars=bars, error=error)


@router.get("")
def form(portal: Services, visit: Visiting, figure: str = "") -> Response:
    project = visit.member()
    given = {
        name: value for name, value in visit.request.query_params.items() if name in (*FIGURES, "reason")
    }
    return show(portal, visit, {**typed(doubled(project.allocation, figure)), "reason": "", **given})


@router.post("")
def ask(portal: Services, visit: Visiting, form: Sent) -> Response:
    project = visit.member()
    try:
        portal.accounts.request_more(
            visit.person.id, project.id, requested=form.allocation(), reason=form.text("reason")
        )
    except ArmillaryError as error:
        return show(portal, visit, form.values(), status=error.status, error=error)
    return visit.go("/applications", notice="requested")
