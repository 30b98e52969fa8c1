"""What hangs on one server and changes with its owner's wishes: metadata, tags; and its addresses."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from armillary.base.errors import Invalid, NotFound
from armillary.cloud.api.compute import views, wire
from armillary.cloud.api.compute.deps import BaseUrl, Compute, Network, Version, nics, since
from armillary.cloud.api.shared import Caller

router = APIRouter()


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
