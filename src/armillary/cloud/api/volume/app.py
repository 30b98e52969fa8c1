"""Block Storage v3: its versions, and everything put together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.routing import iter_route_contexts
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from armillary.base.errors import ArmillaryError
from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.api.compute.faults import fault, speak_nova
from armillary.cloud.api.openapi.document import publish
from armillary.cloud.api.policy import volume as policy
from armillary.cloud.api.policy.gate import at_their_gates, gate
from armillary.cloud.api.shared import MOST_BYTES, Bounded, Microversions, RequestIds, spoken
from armillary.cloud.api.volume import (
    actions,
    backups,
    figures,
    odds,
    snapshots,
    transfers,
    types,
    volumes,
)
from armillary.cloud.api.volume.deps import JSON, MINE
from armillary.cloud.volumes.quotas import OverLimit
from armillary.cloud.volumes.service import VolumeService

versions = APIRouter()


def _document(request: Request) -> JSON:
    base_url = request.app.state.base_url
    kind = "application/vnd.openstack.volume+json;version=3"
    version = {
        "id": "v3.0",
        "status": "CURRENT",
        "version": "3.70",
        "min_version": "3.0",
        "updated": "2022-08-31T00:00:00Z",
        "links": [
            {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
            {"rel": "self", "href": f"{base_url}/v3/"},
        ],
        "media-types": [{"base": "application/json", "type": kind}],
    }
    return {"versions": [version]}


@versions.get("/")
@versions.get("")
def list_versions(request: Request) -> Response:
    return JSONResponse(_document(request), 300)


@versions.get("/v3/")
@versions.get("/v3")
def show_version(request: Request) -> JSON:
    return _document(request)


class Projects:
    """Lets a path leave its project out, as Cinder does since 3.67, by writing `-` in its place."""

    def __init__(self, app: ASGIApp, *, prefix: str, collections: frozenset[str]) -> None:
        self._app = app
        self._start = f"{prefix}/v3/"
        self._collections = collections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if scope["type"] == "http" and path.startswith(self._start):
            rest = path.removeprefix(self._start)
            if rest.partition("/")[0] in self._collections:
                scope = {**scope, "path": f"{self._start}{MINE}/{rest}"}
        await self._app(scope, receive, send)


async def _over_limit(_request: Request, error: Exception) -> Response:
    """Cinder's 413 says when to come back: at once, for nothing will change by waiting."""
    assert isinstance(error, ArmillaryError)
    body = {"code": 413, "message": spoken(error.message, error.remedy), "retryAfter": "0"}
    return JSONResponse({"overLimit": body}, 413, headers={"Retry-After": "0"})


def volume_app(
    *, volumes: VolumeService, auth: KeystoneAuth, base_url: str, auth_url: str, prefix: str
) -> ASGIApp:
    """Block Storage v3 under `prefix`; `base_url` is where clients find it, the prefix included."""
    decide = gate(service="volume", prefix=prefix, rows=policy.ROWS)
    app = FastAPI(
        title="Block Storage", openapi_url=None, redirect_slashes=False, dependencies=[Depends(decide)]
    )
    app.state.gate = decide
    app.state.volumes = volumes
    app.state.authenticate = auth.principal
    app.state.base_url, app.state.auth_url = base_url, auth_url
    speak_nova(app)
    app.add_exception_handler(OverLimit, _over_limit)
    publish(app, service="volume", prefix=prefix, rows=policy.ROWS)
    app.routes.extend(_routes(prefix))
    versioned: ASGIApp = Projects(app, prefix=prefix, collections=_collections())
    versioned = Microversions(versioned, service="volume", minimum=(3, 0), maximum=(3, 70), refuse=fault)
    versioned = Bounded(versioned, most=MOST_BYTES, refuse=fault)
    return RequestIds(versioned, header_names=("x-openstack-request-id", "x-compute-request-id"))


ROOMS = (
    volumes.router,
    actions.router,
    snapshots.router,
    backups.router,
    transfers.router,
    types.router,
    odds.router,
    figures.router,
)


@cache
def _routes(prefix: str) -> Sequence[BaseRoute]:
    rooms = ((prefix + "/v3/{project_id}", room) for room in ROOMS)
    return at_their_gates([(prefix, versions), *rooms])


def _collections() -> frozenset[str]:
    """What comes right after the project in a path."""
    paths = [context.path or "" for room in ROOMS for context in iter_route_contexts(room.routes)]
    return frozenset(path.strip("/").partition("/")[0] for path in paths)
