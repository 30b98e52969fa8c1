"""/servers"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from armillary.base.errors import Invalid
from armillary.cloud.api.compute import views, wire
from armillary.cloud.api.compute.deps import BaseUrl, Compute, Network, Version, sights
from armillary.cloud.api.shared import Caller, RequestId

router = APIRouter()

_TRUE = {"1", "true", "yes", "on", "t", "y"}


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
