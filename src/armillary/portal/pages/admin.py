"""For administrators of the platform: requests, to approve as advised or with other figures, or to decline."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from armillary.accounts.model import ApplicationState
from armillary.base.errors import ArmillaryError
from armillary.base.ids import ApplicationId
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.deciding import WHY, case
from armillary.portal.telling import tell_decided
from armillary.portal.visit import Visit

SHOWN = 100
"""Decided requests on the page, the latest."""
CASES = 20
"""Requests that wait, the oldest: each is looked at on every cloud."""


router = APIRouter(prefix="/admin")


def show(portal: Portal, visit: Visit, *, status: int = 200, error: ArmillaryError | None = None) -> Response:
    waiting = portal.accounts.applications(ApplicationState.WAITING)
    decided = portal.accounts.last_decided(SHOWN)
    shown = {application.person_id for application in decided}
    return visit.page(
        "admin.html",
        status=status,
        cases=[case(portal, application) for application in waiting[:CASES]],
        more=max(0, len(waiting) - CASES),
        why=WHY,
        decided=decided,
        people={person_id: portal.accounts.person(person_id) for person_id in shown},
        error=error,
    )


@router.get("")
def applications(portal: Services, visit: Visiting) -> Response:
    visit.need_admin()
    return show(portal, visit)


@router.post("/applications/{application_id}/approve")
def approve(portal: Services, visit: Visiting, form: Sent, application_id: str) -> Response:
    by = visit.need_admin()
    try:
        portal.accounts.approve(ApplicationId(application_id), by=by.id, granted=form.allocation())
    except ArmillaryError as error:
        return show(portal, visit, status=error.status, error=error)
    tell_decided(portal.office.notices, portal.accounts.application(ApplicationId(application_id)))
    return visit.go("/admin", notice="approved")


@router.post("/applications/{application_id}/decline")
def decline(portal: Services, visit: Visiting, form: Sent, application_id: str) -> Response:
    by = visit.need_admin()
    try:
        declined = portal.accounts.decline(
            ApplicationId(application_id), by=by.id, reason=form.text("reason")
        )
    except ArmillaryError as error:
        return show(portal, visit, status=error.status, error=error)
    tell_decided(portal.office.notices, declined)
    return visit.go("/admin", notice="declined")
