"""`/api/v1/accounts/trail`: who did what, for administrators."""

# no `from __future__ import annotations` here: FastAPI could not resolve the dependency that is a parameter

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from armillary.accounts.api.access import Desk
from armillary.accounts.model import Principal
from armillary.accounts.trail import Asked, Entry, Trail
from armillary.base.clock import to_iso

MOST = 1000
"""entries of one answer"""
Word = Annotated[str, Query(max_length=255)]


def trail_router(*, trail: Trail, desk: Desk, authenticate: Callable[..., Principal]) -> APIRouter:
    """Return the routes; `authenticate` is the dependency that answers who asks."""
    routes = APIRouter(prefix="/api/v1/accounts/trail", tags=["accounts"])

    @routes.get("")
    def entries(
        principal: Annotated[Principal, Depends(authenticate)],
        who: Word = "",
        words: Word = "",
        origin: Word = "",
        refused: bool | None = None,
        since: date | None = None,
        until: date | None = None,
        before: int | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    ) -> dict[str, Any]:
        desk.need_administrator(desk.whole(principal))
        asked = Asked(
            who=who,
            words=words,
            origin=origin,
            refused=refused,
            since=_begin(since) if since else None,
            until=_begin(until) + timedelta(days=1) if until else None,
        )
        found = trail.entries(asked, before=before, limit=limit + 1)
        return {
            "entries": [_shape(entry) for entry in found[:limit]],
            "next": found[limit - 1].id if len(found) > limit else None,
        }

    return routes


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _shape(entry: Entry) -> dict[str, Any]:
    return {**vars(entry), "at": to_iso(entry.at), "refused": entry.refused}
