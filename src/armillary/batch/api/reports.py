"""`/api/v1/batch`: use, and what was sent about submits."""

# no `from __future__ import annotations` here: FastAPI could not resolve what closes over `who`

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from armillary.accounts.model import Principal
from armillary.base.ids import ClusterId
from armillary.batch.api.bounds import known
from armillary.batch.api.users import Authenticator, Number
from armillary.batch.api.wire_submit import Wire
from armillary.batch.reports import MOST_ROWS, Reports
from armillary.batch.store.usage_records import UsageFilter


class UsageLineOut(Wire):
    """What was used, in hours; dimensions that were not asked for are null, `image` is a digest.

    `core_hours` are asked for (cores times the time on a worker), `cpu_hours` were worked; `wait_seconds` is the
    average from the submit to the first worker; `failures` counts attempts that did not do well by cause.
    """

    day: str | None
    project: str | None
    owner: str | None
    cloud: str | None
    image: str | None
    jobs: int
    failed: int
    attempts: int
    core_hours: float
    cpu_hours: float
    memory_gib_hours: float
    wait_seconds: float | None
    failures: dict[str, int]


class UsageOut(Wire):
    """Lines in the order of their dimensions; `more`: there are some beyond the limit."""

    usage: list[UsageLineOut]
    more: bool


class NoticeOut(Wire):
    """Something that is told about a submit. `state`: due, sent, given_up; `said`: by the last try that failed."""

    id: str
    kind: str
    target: str
    event: str
    state: str
    tries: int
    said: str
    next_at: datetime
    """of the next try, or when it was settled"""


class NoticesOut(Wire):
    """All that was or is to be sent about a submit."""

    notices: list[NoticeOut]


class NotifyKeyOut(Wire):
    """The key of the caller's webhooks: HMAC-SHA256 with it makes `X-Armillary-Signature`."""

    key: str


def reports_router(*, reports: Reports, authenticator: Authenticator) -> APIRouter:
    """Return the routes of reports."""
    routes = APIRouter(prefix="/api/v1/batch", tags=["batch"], route_class=known(authenticator.principal_of))
    signed_in = Depends(authenticator.principal_of)

    @routes.get("/usage")
    def usage(
        who: Annotated[Principal, signed_in],
        by: Annotated[Sequence[str], Query()] = ("project", "owner"),
        since: date | None = None,
        until: date | None = None,
        project: Annotated[str | None, Query(max_length=255)] = None,
        owner: Annotated[str | None, Query(max_length=255)] = None,
        cloud: Annotated[str | None, Query(max_length=255)] = None,
        image: Annotated[str | None, Query(max_length=128)] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 1000,
    ) -> UsageOut:
        chosen = UsageFilter(since=since, until=until, project=project, owner=owner, cloud=cloud, image=image)
        lines, more = reports.usage(who, chosen, by=[name for name in by if name], limit=limit)
        return UsageOut(usage=[UsageLineOut.model_validate(line) for line in lines], more=more)

    @routes.get("/clusters/{cluster}/notices")
    def notices(cluster: Number, who: Annotated[Principal, signed_in]) -> NoticesOut:
        return NoticesOut(notices=[_notice(row) for row in reports.notices(who, ClusterId(cluster))])

    @routes.get("/notify-key")
    def notify_key(who: Annotated[Principal, signed_in]) -> NotifyKeyOut:
        return NotifyKeyOut(key=reports.notify_key(who))

    return routes


def _notice(row: Any) -> NoticeOut:
    names = ("id", "target", "state", "tries", "said", "next_at")
    return NoticeOut(
        kind=row.channel, event=row.body["event"], **{name: getattr(row, name) for name in names}
    )
