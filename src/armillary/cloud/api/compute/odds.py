"""What is left: what other services tell compute, and what Nova no longer has."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from armillary.base.errors import ArmillaryError, NotFound
from armillary.cloud.api.compute import wire
from armillary.cloud.api.compute.deps import Compute
from armillary.cloud.api.shared import Caller

router = APIRouter()
_GONE = (
    "/os-agents", "/os-cells", "/os-certificates", "/os-cloudpipe", "/os-fixed-ips", "/os-floating-ip-dns",
    "/os-floating-ips-bulk", "/os-fping", "/os-security-group-default-rules",
)  # fmt: skip
"""Nova took these away whatever the microversion."""
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Gone(ArmillaryError):
    """It was here once."""

    code = "resource_gone"
    status = 410


def _gone() -> None:
    raise Gone("This resource is no longer available. No forwarding address is given.")


for _path in _GONE:
    router.add_api_route(_path, _gone, methods=_METHODS)
    router.add_api_route(f"{_path}/{{rest:path}}", _gone, methods=_METHODS)
for _path in ("/os-networks", "/os-tenant-networks"):
    router.add_api_route(_path, _gone, methods=["POST"])


@router.post("/os-server-external-events")
def tell(body: wire.ExternalEvents, who: Caller, compute: Compute) -> Response:
    """Nothing follows: our network and volumes do not speak to compute through its API."""
    shown: list[dict[str, Any]] = []
    for event in body.events:
        view: dict[str, Any] = {"name": event.name, "server_uuid": event.server_uuid}
        view |= {"tag": event.tag} if event.tag is not None else {}
        try:
            compute.get(who, event.server_uuid)
            view |= {"status": event.status, "code": 200}
        except NotFound:
            view |= {"status": "failed", "code": 404}
        shown.append(view)
    return JSONResponse({"events": shown}, 200 if all(v["code"] == 200 for v in shown) else 207)
