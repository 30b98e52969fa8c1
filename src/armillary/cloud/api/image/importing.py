"""Importing: contents that wait beside their image until it is told to take them; and the tasks that this makes.

An import is over before it is answered; that it was is kept as a task for a while.
"""

from __future__ import annotations

from typing import Any, cast

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from armillary.base.errors import Invalid, NotFound
from armillary.cloud.api.image import content
from armillary.cloud.api.image.body import json_body, media_type
from armillary.cloud.api.image.patch import WrongMediaType
from armillary.cloud.api.image.views import STORE, GlanceJSON, task_view
from armillary.cloud.api.shared import Caller, RequestId
from armillary.cloud.images.model import Status
from armillary.cloud.images.service import ImageService

METHODS = ("glance-direct",)


def add(v2: APIRouter, images: ImageService) -> None:
    """Add the routes."""

    @v2.get("/info/import")
    def methods() -> GlanceJSON:
        known = {"description": "Import methods available.", "type": "array", "value": list(METHODS)}
        return GlanceJSON({"import-methods": known})

    @v2.get("/info/stores")
    def stores() -> GlanceJSON:
        return GlanceJSON({"stores": [{"id": STORE, "default": "true"}]})

    @v2.get("/info/usage")
    def usage() -> GlanceJSON:
        return GlanceJSON({"usage": {}})

    @v2.put("/images/{image_id}/stage")
    async def stage(principal: Caller, image_id: str, request: Request) -> Response:
        if media_type(request) != "application/octet-stream":
            raise WrongMediaType(media_type(request))
        await content.receive(images, principal, image_id, request, into=Status.UPLOADING)
        return Response(status_code=204)

    @v2.post("/images/{image_id}/import")
    async def take(principal: Caller, image_id: str, request: Request, number: RequestId) -> Response:
        _check_method(await json_body(request))
        await run_in_threadpool(images.import_staged, principal, image_id, request_id=number)
        return Response(status_code=202)

    @v2.get("/images/{image_id}/tasks")
    def tasks_of(principal: Caller, image_id: str) -> GlanceJSON:
        image = images.show(principal, image_id)
        return GlanceJSON({"tasks": [task_view(task) for task in images.tasks(image_id=image.id)]})

    @v2.get("/tasks")
    def tasks() -> GlanceJSON:
        found = [task_view(task) for task in images.tasks()]
        return GlanceJSON({"tasks": found, "first": "/v2/tasks", "schema": "/v2/schemas/tasks"})

    @v2.get("/tasks/{task_id}")
    def task(task_id: str) -> GlanceJSON:
        for one in images.tasks():
            if one.id == task_id:
                return GlanceJSON(task_view(one))
        raise NotFound(f"Could not find task {task_id}")


def _check_method(body: Any) -> None:
    """Refuse every way of importing but ours."""
    fields = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    method = fields.get("method")
    if not isinstance(method, dict):
        raise Invalid("Import request requires a 'method' field.")
    name = cast("dict[str, Any]", method).get("name")
    if name is None:
        raise Invalid("Import request requires a 'name' field.")
    if name not in METHODS:
        remedy = ""
        if name == "web-download":
            remedy = "This cloud fetches nothing from the web: download the file and upload it."
        raise Invalid(f"Unknown import method name '{name}'.", remedy=remedy)
    stores: Any = fields.get("stores", [STORE])
    if stores != [STORE]:
        raise Invalid(f"The only store of this cloud is '{STORE}'.")
