"""/servers"""

from __future__ import annotations

import secrets

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from armillary.base.errors import Invalid
from armillary.cloud.api.compute import views, wire
from armillary.cloud.api.compute.deps import BaseUrl, Compute, Network, Version, sights
from armillary.cloud.api.shared import Caller, RequestId
from armillary.cloud.compute.creation import NewServers

router = APIRouter()

_TRUE = {"1", "true", "yes", "on", "t", "y"}


@router.post("/servers")
def create_server(
    body: wire.CreateServer, who: Caller, compute: Compute, base_url: BaseUrl, request_id: RequestId
) -> Response:
    asked = body.server
    servers = compute.create(who, _wanted(asked), request_id=request_id)
    first = servers[0]
    if str(asked.return_reservation_id).lower() in _TRUE:
        return JSONResponse({"reservation_id": first.reservation_id}, 202)
    links = views.links(base_url, "servers", first.id)
    groups = [{"name": group.name} for group in asked.security_groups or [wire.GroupName(name="default")]]
    answer = {
        "id": first.id,
        "links": links,
        "OS-DCF:diskConfig": asked.disk_config,
        "security_groups": groups,
        "adminPass": asked.admin_pass or secrets.token_urlsafe(9),
    }
    return JSONResponse({"server": answer}, 202, headers={"Location": links[0]["href"]})


def _wanted(asked: wire.ServerIn) -> NewServers:
    count = asked.max_count or asked.min_count
    if asked.max_count is not None and asked.max_count < asked.min_count:
        raise Invalid("min_count must be <= max_count")
    networks = None
    if asked.networks == "none":
        networks = []
    elif isinstance(asked.networks, list) and asked.networks:
        networks = [wish.model_dump(exclude_none=True) for wish in asked.networks]
    groups = asked.security_groups
    return NewServers(
        name=asked.name,
        flavor_ref=asked.flavor_ref.rsplit("/", 1)[-1],
        image_ref=_image_of(asked),
        key_name=asked.key_name,
        networks=networks,
        security_groups=[group.name for group in groups] if groups is not None else None,
        user_data=asked.user_data,
        metadata=asked.metadata,
        tags=asked.tags,
        description=asked.description,
        hostname=asked.hostname,
        config_drive=asked.config_drive is None or str(asked.config_drive).lower() in _TRUE,
        count=count,
    )


def _image_of(asked: wire.ServerIn) -> str:
    """The image to boot; clients say it once as `imageRef` and once more as a block device."""
    image = asked.image_ref or ""
    for device in asked.block_device_mapping_v2:
        plain = device.get("source_type") == "image" and device.get("destination_type", "local") == "local"
        if not plain or len(asked.block_device_mapping_v2) > 1:
            raise Invalid(
                "Block Device Mapping is Invalid: this cloud boots servers from an image on its own disk only.",
                remedy="Leave volumes and further block devices out.",
            )
        image = image or str(device.get("uuid", ""))
    if not image:
        raise Invalid("Invalid imageRef provided.")
    return image.rsplit("/", 1)[-1]


@router.get("/servers/{server_id}")
def show_server(
    server_id: str, who: Caller, compute: Compute, network: Network, base_url: BaseUrl, version: Version
) -> Response:
    server = compute.get(who, server_id)
    sight = sights(compute, network, [server])[server.id]
    as_admin = who.is_cloud_admin
    shown = views.full_server(
        server, sight, version=version, base_url=base_url, as_admin=as_admin, groups=True
    )
    return JSONResponse({"server": shown})


@router.put("/servers/{server_id}")
def update_server(
    server_id: str, body: wire.UpdateServer, who: Caller, compute: Compute, network: Network, base_url: BaseUrl,
    version: Version,
) -> Response:  # fmt: skip
    changes = body.server.model_dump(exclude_unset=True)
    for name, needed in (("description", 19), ("hostname", 90)):
        if name in changes and version < needed:
            raise Invalid(
                "Invalid input for field/attribute server. Additional properties are not allowed "
                f"('{name}' was unexpected)"
            )
    server = compute.update(who, server_id, changes)
    if version >= 75:
        return show_server(server_id, who, compute, network, base_url, version)
    sight = sights(compute, network, [server])[server.id]
    shown = views.part_of_server(server, sight, version=version, base_url=base_url)
    return JSONResponse(
        {
            "server": shown
            | ({"server_groups": [server.group_id] if server.group_id else []} if version >= 71 else {})
        }
    )


@router.delete("/servers/{server_id}", status_code=204)
def delete_server(server_id: str, who: Caller, compute: Compute, request_id: RequestId) -> Response:
    compute.delete(who, server_id, request_id=request_id)
    return Response(status_code=204)
