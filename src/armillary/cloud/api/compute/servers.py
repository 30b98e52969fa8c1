"""/servers"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from armillary.base.clock import from_iso
from armillary.base.errors import Invalid, NotFound
from armillary.cloud.api.compute import views, wire
from armillary.cloud.api.compute.deps import BaseUrl, Compute, Network, Version, nics, since
from armillary.cloud.api.shared import Caller, RequestId, next_link, page_of, query_of
from armillary.cloud.compute.creation import NewServers
from armillary.cloud.compute.model import Server
from armillary.cloud.compute.service import ServerFilter

router = APIRouter()

_TRUE = {"1", "true", "yes", "on", "t", "y"}


@router.get("/servers")
def list_servers(request: Request, who: Caller, compute: Compute, base_url: BaseUrl) -> dict[str, Any]:
    servers, rest = _page(request, who, compute)
    return {"servers": [views.brief_server(server, base_url) for server in servers], **rest}


@router.get("/servers/detail")
def list_servers_in_detail(
    request: Request, who: Caller, compute: Compute, network: Network, base_url: BaseUrl, version: Version
) -> dict[str, Any]:
    servers, rest = _page(request, who, compute)
    cards = nics(network, servers)
    as_admin = who.is_cloud_admin
    shown = [
        views.full_server(s, cards.get(s.id, ()), version=version, base_url=base_url, as_admin=as_admin)
        for s in servers
    ]
    return {"servers": shown, **rest}


def _page(request: Request, who: Caller, compute: Compute) -> tuple[list[Server], dict[str, Any]]:
    query = query_of(request.query_params)
    servers = compute.list(who, _filter(query))
    chosen, more = page_of(servers, query, identify=lambda server: server.id)
    if not more:
        return chosen, {}
    url = f"{request.app.state.base_url}/v2.1{request.url.path.partition('/v2.1')[2]}"
    return chosen, {"servers_links": next_link(url, request.query_params, chosen[-1].id)}


def _filter(query: dict[str, str]) -> ServerFilter:
    everybody = query.get("all_tenants", query.get("all_projects"))
    return ServerFilter(
        all_projects=everybody is not None and everybody.lower() in _TRUE,
        project_id=query.get("project_id", query.get("tenant_id")),
        user_id=query.get("user_id"),
        name=query.get("name"),
        status=query.get("status"),
        image_id=query.get("image"),
        flavor_id=query.get("flavor"),
        ip=query.get("ip"),
        changed_since=_moment(query.get("changes-since")),
        deleted=query.get("deleted", "").lower() in _TRUE,
    )


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return from_iso(text)
    except ValueError as error:
        raise Invalid(
            f"Invalid input for query parameters changes-since. Value: {text}. '{text}' is not a 'date-time'"
        ) from error


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
        config_drive=str(asked.config_drive or "").lower() in _TRUE,
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
) -> dict[str, Any]:
    return _shown(compute.get(who, server_id), who, network, base_url, version)


def _shown(server: Server, who: Caller, network: Network, base_url: str, version: int) -> dict[str, Any]:
    cards = nics(network, [server]).get(server.id, ())
    as_admin = who.is_cloud_admin
    return {"server": views.full_server(server, cards, version=version, base_url=base_url, as_admin=as_admin)}


@router.put("/servers/{server_id}")
def update_server(
    server_id: str, body: wire.UpdateServer, who: Caller, compute: Compute, network: Network, base_url: BaseUrl,
    version: Version,
) -> dict[str, Any]:  # fmt: skip
    changes = body.server.model_dump(exclude_unset=True, include={"name", "description", "hostname"})
    if changes.get("name", "") is None:
        raise Invalid("Invalid input for field/attribute name. Value: None. None is not of type 'string'")
    return _shown(compute.update(who, server_id, changes), who, network, base_url, version)


@router.delete("/servers/{server_id}", status_code=204)
def delete_server(server_id: str, who: Caller, compute: Compute, request_id: RequestId) -> Response:
    compute.delete(who, server_id, request_id=request_id)
    return Response(status_code=204)


@router.get("/servers/{server_id}/ips")
def list_addresses(server_id: str, who: Caller, compute: Compute, network: Network) -> dict[str, Any]:
    server = compute.get(who, server_id)
    return {"addresses": views.addresses(nics(network, [server]).get(server.id, ()), plain=True)}


@router.get("/servers/{server_id}/ips/{label}")
def list_addresses_of_network(
    server_id: str, label: str, who: Caller, compute: Compute, network: Network
) -> dict[str, Any]:
    found = list_addresses(server_id, who, compute, network)["addresses"]
    if label not in found:
        raise NotFound("Network label not found")
    return {label: found[label]}


@router.get("/servers/{server_id}/metadata")
def list_metadata(server_id: str, who: Caller, compute: Compute) -> dict[str, Any]:
    return {"metadata": dict(compute.get(who, server_id).metadata)}


@router.post("/servers/{server_id}/metadata")
def merge_metadata(server_id: str, body: wire.Metadata, who: Caller, compute: Compute) -> dict[str, Any]:
    return {"metadata": dict(compute.set_metadata(who, server_id, body.metadata, keep=True))}


@router.put("/servers/{server_id}/metadata")
def replace_metadata(server_id: str, body: wire.Metadata, who: Caller, compute: Compute) -> dict[str, Any]:
    return {"metadata": dict(compute.set_metadata(who, server_id, body.metadata, keep=False))}


@router.get("/servers/{server_id}/metadata/{key}")
def show_metadata_item(server_id: str, key: str, who: Caller, compute: Compute) -> dict[str, Any]:
    metadata = compute.get(who, server_id).metadata
    if key not in metadata:
        raise NotFound("Metadata item was not found")
    return {"meta": {key: metadata[key]}}


@router.put("/servers/{server_id}/metadata/{key}")
def set_metadata_item(
    server_id: str, key: str, body: wire.MetadataItem, who: Caller, compute: Compute
) -> dict[str, Any]:
    if key not in body.meta:
        raise Invalid("Request body and URI mismatch")
    compute.set_metadata(who, server_id, body.meta, keep=True)
    return {"meta": body.meta}


@router.delete("/servers/{server_id}/metadata/{key}", status_code=204)
def delete_metadata_item(server_id: str, key: str, who: Caller, compute: Compute) -> Response:
    compute.delete_metadata(who, server_id, key)
    return Response(status_code=204)


@router.get("/servers/{server_id}/tags")
def list_tags(server_id: str, who: Caller, compute: Compute, version: Version) -> dict[str, Any]:
    since(version, 26)
    return {"tags": list(compute.get(who, server_id).tags)}


@router.put("/servers/{server_id}/tags")
def replace_tags(
    server_id: str, body: wire.Tags, who: Caller, compute: Compute, version: Version
) -> dict[str, Any]:
    since(version, 26)
    return {"tags": list(compute.set_tags(who, server_id, body.tags))}


@router.delete("/servers/{server_id}/tags", status_code=204)
def delete_tags(server_id: str, who: Caller, compute: Compute, version: Version) -> Response:
    since(version, 26)
    compute.set_tags(who, server_id, [])
    return Response(status_code=204)


@router.get("/servers/{server_id}/tags/{tag}", status_code=204)
def check_tag(server_id: str, tag: str, who: Caller, compute: Compute, version: Version) -> Response:
    since(version, 26)
    if tag not in compute.get(who, server_id).tags:
        raise NotFound(f"Server {server_id} has no tag '{tag}'")
    return Response(status_code=204)


@router.put("/servers/{server_id}/tags/{tag}")
def add_tag(
    server_id: str, tag: str, who: Caller, compute: Compute, version: Version, base_url: BaseUrl
) -> Response:
    since(version, 26)
    tags = compute.get(who, server_id).tags
    if tag in tags:
        return Response(status_code=204)
    wire.Tags(tags=[*tags, tag])
    compute.set_tags(who, server_id, [*tags, tag])
    return Response(status_code=201, headers={"Location": f"{base_url}/v2.1/servers/{server_id}/tags/{tag}"})


@router.delete("/servers/{server_id}/tags/{tag}", status_code=204)
def delete_tag(server_id: str, tag: str, who: Caller, compute: Compute, version: Version) -> Response:
    check_tag(server_id, tag, who, compute, version)
    compute.set_tags(who, server_id, [other for other in compute.get(who, server_id).tags if other != tag])
    return Response(status_code=204)
