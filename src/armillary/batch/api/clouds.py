"""`/api/v1/batch/drained`: clouds on which no new workers boot."""

# no `from __future__ import annotations` here: FastAPI could not resolve what closes over `who`

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field

from armillary.accounts.model import Principal
from armillary.base.ids import CloudName
from armillary.batch.api.bounds import known
from armillary.batch.api.users import Authenticator
from armillary.batch.api.wire_submit import Wire
from armillary.batch.draining import REASON_MAX, Draining


class DrainedOut(Wire):
    """A cloud on which no new workers boot."""

    cloud: str
    since: datetime
    by: str
    reason: str


class DrainedAllOut(Wire):
    """All of them."""

    drained: list[DrainedOut]


class DrainIn(Wire):
    """Why, for those who wait."""

    reason: Annotated[str, Field(max_length=REASON_MAX)] = ""


def drain_router(*, draining: Draining, authenticator: Authenticator) -> APIRouter:
    """Return the routes of draining."""
    routes = APIRouter(
        prefix="/api/v1/batch/drained", tags=["batch"], route_class=known(authenticator.principal_of)
    )
    signed_in = Depends(authenticator.principal_of)

    @routes.get("")
    def drained(_who: Annotated[Principal, signed_in]) -> DrainedAllOut:
        return DrainedAllOut(drained=[DrainedOut.model_validate(one) for one in draining.drained().values()])

    @routes.put("/{cloud}", status_code=204)
    def drain(cloud: str, body: DrainIn, who: Annotated[Principal, signed_in]) -> None:
        draining.drain(who, CloudName(cloud), reason=body.reason)

    @routes.delete("/{cloud}", status_code=204)
    def resume(cloud: str, who: Annotated[Principal, signed_in]) -> None:
        draining.resume(who, CloudName(cloud))

    return routes
