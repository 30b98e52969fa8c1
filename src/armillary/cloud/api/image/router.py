"""Image v2 as one router."""

from __future__ import annotations

from typing import Any, cast

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from armillary.base.errors import Invalid, NotFound
from armillary.cloud.api.image import content, importing, members, schemas
from armillary.cloud.api.image.body import json_body, media_type
from armillary.cloud.api.image.faults import GlanceRoute
from armillary.cloud.api.image.listing import links, query_from
from armillary.cloud.api.image.patch import WrongMediaType, changes_from
from armillary.cloud.api.image.views import STORE, GlanceJSON, image_view
from armillary.cloud.api.shared import Caller, caller
from armillary.cloud.images.rules import Change
from armillary.cloud.images.service import ImageService

_VERSIONS = ("2.15", "2.13", "2.12", "2.11", "2.10", "2.9", "2.8", "2.7", "2.6", "2.5", "2.4", "2.3", "2.2")
_VERSIONS_OLD = ("2.1", "2.0")
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def router(*, images: ImageService, base_url: str) -> APIRouter:
    """Return the routes, relative to the service's own prefix: include them with `prefix="/image"`.

    The application's state has `authenticate`, which reads tokens.

    Args:
        images: what they speak for.
        base_url: where clients find the service, the prefix included, without a slash at its end.
    """
    routes = APIRouter(route_class=GlanceRoute, tags=["image"])
    _add_versions(routes, base_url)
    v2 = APIRouter(route_class=GlanceRoute, prefix="/v2", dependencies=[Depends(caller)])
    _add_discovery(v2)
    _add_collection(v2, images, base_url)
    _add_item(v2, images)
    _add_content(v2, images)
    importing.add(v2, images)
    members.add(v2, images)
    routes.include_router(v2)

    @routes.api_route("/{rest:path}", methods=_METHODS, include_in_schema=False)
    def nowhere(rest: str) -> None:
        raise NotFound("The resource could not be found.")

    return routes


def _add_versions(routes: APIRouter, base_url: str) -> None:
    known = [
        {
            "id": f"v{version}",
            "status": "CURRENT" if number == 0 else "SUPPORTED",
            "links": [{"rel": "self", "href": f"{base_url}/v2/"}],
        }
        for number, version in enumerate(_VERSIONS + _VERSIONS_OLD)
    ]

    @routes.get("")
    @routes.get("/")
    def choose() -> GlanceJSON:
        return GlanceJSON({"versions": known}, status_code=300)

    @routes.get("/versions")
    def versions() -> GlanceJSON:
        return GlanceJSON({"versions": known})


def _add_discovery(v2: APIRouter) -> None:
    documents = {
        "image": schemas.image_schema,
        "images": schemas.images_schema,
        "member": schemas.member_schema,
        "members": schemas.members_schema,
        "task": schemas.task_schema,
        "tasks": schemas.tasks_schema,
    }

    @v2.get("/schemas/{name}")
    def schema(name: str) -> GlanceJSON:
        if name not in documents:
            raise NotFound("The resource could not be found.")
        return GlanceJSON(documents[name]())

    @v2.get("/schemas/metadefs/{name}")
    def metadefs_schema(name: str) -> GlanceJSON:
        found = schemas.metadefs_schema(name)
        if found is None:
            raise NotFound("The resource could not be found.")
        return GlanceJSON(found)

    @v2.get("/metadefs/namespaces")
    def namespaces() -> GlanceJSON:
        path = "/v2/metadefs/namespaces"
        return GlanceJSON({"namespaces": [], "first": path, "schema": "/v2/schemas/metadefs/namespaces"})

    @v2.get("/metadefs/resource_types")
    def resource_types() -> GlanceJSON:
        return GlanceJSON({"resource_types": []})


def _add_collection(v2: APIRouter, images: ImageService, base_url: str) -> None:
    @v2.get("/images")
    def index(principal: Caller, request: Request) -> GlanceJSON:
        parameters = request.query_params.multi_items()
        found, more = images.list(principal, query_from(parameters))
        marker = found[-1].id if more and found else None
        body: dict[str, Any] = {"images": [image_view(image) for image in found]}
        return GlanceJSON({**body, **links(parameters, marker), "schema": "/v2/schemas/images"})

    @v2.post("/images")
    async def create(principal: Caller, request: Request) -> GlanceJSON:
        body = await json_body(request)
        if not isinstance(body, dict):
            raise Invalid("Request body must be a JSON object")
        image = await run_in_threadpool(images.create, principal, cast("dict[str, Any]", body))
        headers = {
            "Location": f"{base_url}/v2/images/{image.id}",
            "OpenStack-image-import-methods": ",".join(importing.METHODS),
            "OpenStack-image-store-ids": STORE,
        }
        return GlanceJSON(image_view(image), status_code=201, headers=headers)


def _add_item(v2: APIRouter, images: ImageService) -> None:
    @v2.get("/images/{image_id}")
    def show(principal: Caller, image_id: str) -> GlanceJSON:
        return GlanceJSON(image_view(images.show(principal, image_id)))

    @v2.patch("/images/{image_id}")
    async def update(principal: Caller, image_id: str, request: Request) -> GlanceJSON:
        kind = media_type(request)
        changes = changes_from(await json_body(request) if "json-patch" in kind else None, kind)
        return GlanceJSON(image_view(await run_in_threadpool(images.update, principal, image_id, changes)))

    @v2.delete("/images/{image_id}")
    def delete(principal: Caller, image_id: str) -> Response:
        images.delete(principal, image_id)
        return Response(status_code=204)

    @v2.put("/images/{image_id}/tags/{tag}")
    def add_tag(principal: Caller, image_id: str, tag: str) -> Response:
        if tag not in images.show(principal, image_id).tags:
            images.update(principal, image_id, [Change(op="add", name="tags", at="-", value=tag)])
        return Response(status_code=204)

    @v2.delete("/images/{image_id}/tags/{tag}")
    def remove_tag(principal: Caller, image_id: str, tag: str) -> Response:
        tags = images.show(principal, image_id).tags
        if tag not in tags:
            raise NotFound("Failed to find tag on the image")
        kept = [other for other in tags if other != tag]
        images.update(principal, image_id, [Change(op="replace", name="tags", value=kept)])
        return Response(status_code=204)

    @v2.post("/images/{image_id}/actions/{action}")
    def act(principal: Caller, image_id: str, action: str) -> Response:
        if action not in ("deactivate", "reactivate"):
            raise NotFound("The resource could not be found.")
        images.set_active(principal, image_id, action == "reactivate")
        return Response(status_code=204)


def _add_content(v2: APIRouter, images: ImageService) -> None:
    @v2.put("/images/{image_id}/file")
    async def upload(principal: Caller, image_id: str, request: Request) -> Response:
        if media_type(request) != "application/octet-stream":
            raise WrongMediaType(media_type(request))
        await content.receive(images, principal, image_id, request)
        return Response(status_code=204)

    @v2.get("/images/{image_id}/file")
    def download(principal: Caller, image_id: str, request: Request) -> Response:
        image, path = images.open(principal, image_id)
        if path is None:
            return Response(status_code=204)
        return content.send(image, path, request.headers.get("range"))
