"""Where a server's consoles are opened: POST /servers/{id}/remote-consoles, and the four actions before it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from armillary.base.errors import Invalid
from armillary.cloud.api.compute import server_bodies as bodies
from armillary.cloud.api.compute.creating import unexpected
from armillary.cloud.api.compute.deps import Version, since
from armillary.cloud.api.compute.told import Told
from armillary.cloud.api.shared import Caller
from armillary.cloud.consoles.service import ConsoleService

router = APIRouter()

_PROTOCOLS = {
    "os-getVNCConsole": "vnc", "os-getSPICEConsole": "spice", "os-getRDPConsole": "rdp", "os-getSerialConsole": "serial",
}  # fmt: skip
