"""`/api/v1/batch/outlook`: how full a project's batch is, and when its hours of this month are spent."""

# no `from __future__ import annotations` here: FastAPI could not resolve what closes over `who`

from collections.abc import Callable
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from armillary.accounts.model import Principal, Project
from armillary.batch.api.users import Authenticator
from armillary.batch.api.wire_submit import Wire
from armillary.batch.outlook import Outlooks


class OutlookOut(Wire):
    """Cores now, core-hours of this month, and the forecast.

    `core_hours` are at the platform's costs, `budget` is their limit or null; `pace` is what a day of the last two weeks
    took; `gone_on` is the day on which none are left, null when the month ends before.
    """

    project: str
    cores: int
    granted_cores: int
    core_hours: float
    budget: float | None
    pace: float | None
    gone_on: date | None
    renewed_on: date


def outlook_router(
    *,
    outlooks: Outlooks,
    project_of: Callable[[Principal, str | None], Project],
    authenticator: Authenticator,
) -> APIRouter:
    """Return the route; `project_of` answers which project of theirs somebody means, and refuses others."""
    routes = APIRouter(prefix="/api/v1/batch", tags=["batch"])
    signed_in = Depends(authenticator.principal_of)

    @routes.get("/outlook")
    def outlook(
        who: Annotated[Principal, signed_in],
        project: Annotated[str | None, Query(max_length=255)] = None,
    ) -> OutlookOut:
        chosen = project_of(who, project)
        found = outlooks.of(who, chosen)
        return OutlookOut(
            project=chosen.name,
            cores=found.use.cores,
            granted_cores=found.use.granted,
            core_hours=round(found.use.hours, 4),
            budget=found.use.budget,
            pace=None if found.ahead is None else round(found.ahead.pace, 4),
            gone_on=found.ahead.gone_on if found.ahead else None,
            renewed_on=found.renewed_on,
        )

    return routes
