"""The routes of image members."""

from __future__ import annotations

from typing import Any, cast

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from armillary.base.errors import Invalid
from armillary.cloud.api.image.body import json_body
from armillary.cloud.api.image.views import GlanceJSON, member_view
from armillary.cloud.api.shared import Caller
from armillary.cloud.images.service import ImageService


def add(v2: APIRouter, images: ImageService) -> None:
    """Add the routes under `/images/{image_id}/members`."""
    sharing = images.sharing

    @v2.get("/images/{image_id}/members")
    def members(principal: Caller, image_id: str) -> GlanceJSON:
        found = [member_view(member) for member in sharing.members(principal, image_id)]
        return GlanceJSON({"members": found, "schema": "/v2/schemas/members"})

    @v2.post("/images/{image_id}/members")
    async def offer(principal: Caller, image_id: str, request: Request) -> GlanceJSON:
        member = await _field(request, "member")
        return GlanceJSON(member_view(await run_in_threadpool(sharing.add, principal, image_id, member)))

    @v2.get("/images/{image_id}/members/{member_id}")
    def member(principal: Caller, image_id: str, member_id: str) -> GlanceJSON:
        return GlanceJSON(member_view(sharing.member(principal, image_id, member_id)))

    @v2.put("/images/{image_id}/members/{member_id}")
    async def answer(principal: Caller, image_id: str, member_id: str, request: Request) -> GlanceJSON:
        status = await _field(request, "status")
        answered = await run_in_threadpool(sharing.answer, principal, image_id, member_id, status)
        return GlanceJSON(member_view(answered))

    @v2.delete("/images/{image_id}/members/{member_id}")
    def withdraw(principal: Caller, image_id: str, member_id: str) -> Response:
        sharing.remove(principal, image_id, member_id)
        return Response(status_code=204)


async def _field(request: Request, name: str) -> str:
    body: Any = await json_body(request)
    value: Any = cast("dict[str, Any]", body).get(name) if isinstance(body, dict) else None
    if not isinstance(value, str):
        raise Invalid(f"Expected a {name}, for example: {{'{name}': 'value'}}")
    return value
