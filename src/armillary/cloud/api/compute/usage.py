"""/os-simple-tenant-usage"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request

from armillary.base.clock import from_iso
from armillary.base.errors import Invalid
from armillary.cloud.access import allow_administering
from armillary.cloud.api.compute.deps import BaseUrl, Compute, Version
from armillary.cloud.api.compute.queries import PAGING, check_query, limit_of, text
from armillary.cloud.api.shared import Caller, next_link
from armillary.cloud.compute.quotas import Period, Usage

router = APIRouter()


def _period(request: Request, version: int, *, now: datetime, project_id: str | None) -> Period:
    query = request.query_params
    known = {"start": text, "end": text} | ({} if project_id else {"detailed": text})
    check_query(query, {**known, **(PAGING if version >= 40 else {})}, strict=version >= 75)
    try:
        end = from_iso(query["end"]) if query.get("end") else now
        start = from_iso(query["start"]) if query.get("start") else end
    except ValueError as error:
        raise Invalid("Invalid datetime string: Datetime is in invalid format", code="bad_moment") from error
    if start > end:
        raise Invalid(
            "Invalid start time. The start time cannot occur after the end time.", code="bad_period"
        )
    if not query.get("start"):
        start = end - timedelta(days=28)
    paged = version >= 40
    limit = limit_of(query) if paged else _ALL
    return Period(
        start=start,
        end=end,
        project_id=project_id,
        limit=limit,
        marker=query.get("marker") if paged else None,
    )


_ALL = 10_000
"""Servers in a report without pages; a larger cloud's administrators ask page by page, since 2.40."""


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def _usage(project_id: str, uses: Sequence[Usage], period: Period, *, detailed: bool) -> dict[str, Any]:
    view: dict[str, Any] = {
        "tenant_id": project_id,
        "start": _moment(period.start),
        "stop": _moment(period.end),
        "total_hours": sum(u.hours for u in uses),
        "total_vcpus_usage": sum(u.hours * u.server.flavor.vcpus for u in uses),
        "total_memory_mb_usage": sum(u.hours * u.server.flavor.ram for u in uses),
        "total_local_gb_usage": sum(
            u.hours * (u.server.flavor.disk + u.server.flavor.ephemeral) for u in uses
        ),
    }
    if detailed:
        view["server_usages"] = [_of_server(u, period.end) for u in uses]
    return view


def _of_server(use: Usage, end: datetime) -> dict[str, Any]:
    server = use.server
    return {
        "instance_id": server.id,
        "name": server.name,
        "tenant_id": server.project_id,
        "flavor": server.flavor.name,
        "hours": use.hours,
        "vcpus": server.flavor.vcpus,
        "memory_mb": server.flavor.ram,
        "local_gb": server.flavor.disk + server.flavor.ephemeral,
        "started_at": _moment(use.started_at),
        "ended_at": _moment(use.ended_at) if use.ended_at else None,
        "state": "terminated" if use.ended_at else server.vm_state.value,
        "uptime": int(((use.ended_at or end) - use.started_at).total_seconds()),
    }


@router.get("/os-simple-tenant-usage")
def list_usage(
    request: Request, who: Caller, compute: Compute, version: Version, base_url: BaseUrl
) -> dict[str, Any]:
    allow_administering(who, "os_compute_api:os-simple-tenant-usage:list")
    period = _period(request, version, now=compute.quotas.now(), project_id=None)
    detailed = request.query_params.get("detailed") == "1"
    found = compute.quotas.usage(period)
    shown: dict[str, Any] = {
        "tenant_usages": [_usage(p, uses, period, detailed=detailed) for p, uses in found.projects.items()]
    }
    if version >= 40 and found.last is not None:
        url = f"{base_url}/v2.1/os-simple-tenant-usage"
        shown["tenant_usages_links"] = next_link(url, request.query_params, found.last)
    return shown


@router.get("/os-simple-tenant-usage/{project_id}")
def show_usage(
    project_id: str, request: Request, who: Caller, compute: Compute, version: Version, base_url: BaseUrl
) -> dict[str, Any]:
    if who.project is None or project_id != who.project.id:
        allow_administering(who, "os_compute_api:os-simple-tenant-usage:show")
    period = _period(request, version, now=compute.quotas.now(), project_id=project_id)
    found = compute.quotas.usage(period)
    uses = found.projects.get(project_id, [])
    shown: dict[str, Any] = {"tenant_usage": _usage(project_id, uses, period, detailed=True) if uses else {}}
    if version >= 40 and found.last is not None:
        url = f"{base_url}/v2.1/os-simple-tenant-usage/{project_id}"
        shown["tenant_usage_links"] = next_link(url, request.query_params, found.last)
    return shown
