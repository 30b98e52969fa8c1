"""Where a server's consoles are opened: POST /servers/{id}/remote-consoles, and the four actions before it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from armillary.base.errors import Unauthorized
from armillary.cloud.api.compute import server_bodies as bodies
from armillary.cloud.api.compute.deps import Version, since
from armillary.cloud.api.compute.told import Told
from armillary.cloud.api.shared import Caller
from armillary.cloud.consoles.service import ConsoleService

router = APIRouter()

_PROTOCOLS = {
    "os-getVNCConsole": "vnc", "os-getSPICEConsole": "spice", "os-getRDPConsole": "rdp", "os-getSerialConsole": "serial",
}  # fmt: skip
_ALL_KINDS = 31


async def _consoles(request: Request) -> ConsoleService:
    return request.app.state.consoles


Consoles = Annotated[ConsoleService, Depends(_consoles)]


@router.post("/servers/{server_id}/remote-consoles")
def open_console(
    server_id: str, body: bodies.CreateRemoteConsole, who: Caller, consoles: Consoles, version: Version
) -> dict[str, Any]:
    since(version, 6)
    asked = body.remote_console
    url = consoles.url(who, server_id, protocol=asked.protocol, kind=asked.type)
    return {"remote_console": {"protocol": asked.protocol, "type": asked.type, "url": url}}


@router.get("/os-console-auth-tokens/{token}")
def show_console(token: str, consoles: Consoles, version: Version) -> dict[str, Any]:
    """What a console's address opens."""
    if version < _ALL_KINDS:
        raise Unauthorized(
            "The requested console type details are not accessible", code="console_kind_hidden"
        )
    opened = consoles.opened(token)
    return {
        "console": {
            "instance_uuid": opened.server_id,
            "host": opened.host,
            "port": opened.port,
            "internal_access_path": str(opened.socket),
        }
    }


def open_older(told: Told) -> Response:
    """The actions until 2.5, one for each protocol."""
    kind = told.read(bodies.ConsoleKind).type
    url = told.consoles.url(told.who, told.server_id, protocol=_PROTOCOLS[told.name], kind=kind)
    return JSONResponse({"console": {"type": kind, "url": url}})
