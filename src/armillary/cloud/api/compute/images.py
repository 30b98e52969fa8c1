"""/images: Nova's old proxy to Glance, until 2.35 (metadata until 2.38)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from armillary.accounts.model import Principal
from armillary.base.clock import to_iso
from armillary.base.errors import Forbidden, Invalid, NotFound
from armillary.base.ids import ImageId
from armillary.cloud.api.compute import views, wire
from armillary.cloud.api.compute.deps import BaseUrl, Version, until
from armillary.cloud.api.compute.queries import PAGING, check_query, limit_of
from armillary.cloud.api.shared import Caller, next_link
from armillary.cloud.images.model import Image, Query, Status
from armillary.cloud.images.rules import Change
from armillary.cloud.images.service import ImageService

router = APIRouter()
_LAST, _LAST_METADATA = 35, 38
_STATUS = {
    Status.QUEUED: ("SAVING", 25),
    Status.SAVING: ("SAVING", 50),
    Status.ACTIVE: ("ACTIVE", 100),
    Status.DEACTIVATED: ("UNKNOWN", 0),
    Status.KILLED: ("ERROR", 0),
}
"""Nova's names, and how far an image has come, in hundredths"""


async def _images(request: Request) -> ImageService:
    return request.app.state.images


Images = Annotated[ImageService, Depends(_images)]


def _brief(image: Image, base_url: str) -> dict[str, Any]:
    links = views.links(base_url, "images", image.id)
    glance = {
        "rel": "alternate",
        "type": "application/vnd.openstack.image",
        "href": f"{base_url.removesuffix('/compute')}/image/images/{image.id}",
    }
    return {"id": image.id, "name": image.name, "links": [*links, glance]}


def _full(image: Image, base_url: str) -> dict[str, Any]:
    status, progress = _STATUS[image.status]
    shown = _brief(image, base_url)
    shown |= {
        "minRam": image.min_ram,
        "minDisk": image.min_disk,
        "metadata": dict(image.properties),
        "created": to_iso(image.created_at),
        "updated": to_iso(image.updated_at),
        "status": status,
        "progress": progress,
        "OS-EXT-IMG-SIZE:size": image.size or 0,
    }
    server = image.properties.get("instance_uuid")
    if server is not None:
        shown["server"] = {"id": server, "links": views.links(base_url, "servers", server)}
    return shown


def _found(images: ImageService, who: Principal, image_id: str) -> Image:
    try:
        return images.show(who, image_id)
    except NotFound as error:
        raise NotFound("Image not found.", code=error.code) from error


def _page(
    request: Request, images: ImageService, who: Principal, base_url: str
) -> tuple[list[Image], dict[str, Any]]:
    query = request.query_params
    check_query(query, PAGING, strict=False)
    names = query.getlist("name")
    statuses = {s for s, (name, _) in _STATUS.items() if name in {q.upper() for q in query.getlist("status")}}
    any_of: dict[str, frozenset[str]] = {}
    if names:
        any_of["name"] = frozenset(names)
    if "status" in query:
        any_of["status"] = frozenset(status.value for status in statuses)
    server = query.get("server", "").rsplit("/", 1)[-1]
    marker = query.get("marker")
    wanted = Query(
        any_of=any_of,
        properties={"instance_uuid": server} if server else {},
        marker=ImageId(marker) if marker else None,
        limit=limit_of(query),
    )
    found, more = images.list(who, wanted)
    if not more or not found:
        return found, {}
    url = f"{base_url}/v2.1{request.url.path.partition('/v2.1')[2]}"
    return found, {"images_links": next_link(url, query, found[-1].id)}


@router.get("/images")
def list_images(
    request: Request, who: Caller, images: Images, version: Version, base_url: BaseUrl
) -> Response:
    until(version, _LAST)
    found, rest = _page(request, images, who, base_url)
    return JSONResponse({"images": [_brief(image, base_url) for image in found], **rest})


@router.get("/images/detail")
def list_images_in_detail(
    request: Request, who: Caller, images: Images, version: Version, base_url: BaseUrl
) -> Response:
    until(version, _LAST)
    found, rest = _page(request, images, who, base_url)
    return JSONResponse({"images": [_full(image, base_url) for image in found], **rest})


@router.get("/images/{image_id}")
def show_image(image_id: str, who: Caller, images: Images, version: Version, base_url: BaseUrl) -> Response:
    until(version, _LAST)
    return JSONResponse({"image": _full(_found(images, who, image_id), base_url)})


@router.delete("/images/{image_id}", status_code=204)
def delete_image(image_id: str, who: Caller, images: Images, version: Version) -> Response:
    until(version, _LAST)
    _found(images, who, image_id)
    try:
        images.delete(who, image_id)
    except Forbidden as error:
        raise Forbidden("You are not allowed to delete the image.", code=error.code) from error
    return Response(status_code=204)


@router.get("/images/{image_id}/metadata")
def list_metadata(image_id: str, who: Caller, images: Images, version: Version) -> dict[str, Any]:
    until(version, _LAST_METADATA)
    return {"metadata": dict(_found(images, who, image_id).properties)}


@router.post("/images/{image_id}/metadata")
def merge_metadata(
    image_id: str, body: wire.ImageMetadata, who: Caller, images: Images, version: Version
) -> dict[str, Any]:
    until(version, _LAST_METADATA)
    return {"metadata": _write(images, who, _found(images, who, image_id), body.metadata, frozenset())}


@router.put("/images/{image_id}/metadata")
def replace_metadata(
    image_id: str, body: wire.ImageMetadata, who: Caller, images: Images, version: Version
) -> dict[str, Any]:
    until(version, _LAST_METADATA)
    image = _found(images, who, image_id)
    gone = frozenset(image.properties.keys() - body.metadata.keys())
    return {"metadata": _write(images, who, image, body.metadata, gone)}


@router.get("/images/{image_id}/metadata/{key}")
def show_metadata_item(
    image_id: str, key: str, who: Caller, images: Images, version: Version
) -> dict[str, Any]:
    until(version, _LAST_METADATA)
    properties = _found(images, who, image_id).properties
    if key not in properties:
        raise NotFound("The resource could not be found.")
    return {"meta": {key: properties[key]}}


@router.put("/images/{image_id}/metadata/{key}")
def set_metadata_item(
    image_id: str, key: str, body: wire.MetadataItem, who: Caller, images: Images, version: Version
) -> dict[str, Any]:
    until(version, _LAST_METADATA)
    if key not in body.meta:
        raise Invalid("Request body and URI mismatch", code="body_and_uri_differ")
    _write(images, who, _found(images, who, image_id), body.meta, frozenset())
    return {"meta": body.meta}


@router.delete("/images/{image_id}/metadata/{key}", status_code=204)
def delete_metadata_item(image_id: str, key: str, who: Caller, images: Images, version: Version) -> Response:
    until(version, _LAST_METADATA)
    image = _found(images, who, image_id)
    if key not in image.properties:
        raise NotFound("Invalid metadata key")
    _write(images, who, image, {}, frozenset({key}))
    return Response(status_code=204)


def _write(
    images: ImageService, who: Principal, image: Image, items: dict[str, str], gone: frozenset[str]
) -> dict[str, str]:
    changes = [
        Change(op="replace" if k in image.properties else "add", name=k, value=v) for k, v in items.items()
    ]
    changes += [Change(op="remove", name=key) for key in sorted(gone)]
    return dict(images.update(who, image.id, changes).properties)
