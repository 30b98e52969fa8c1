"""Compute as one application."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from starlette.types import ASGIApp

from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.api.compute import actions, attributes, catalog, figures, groups, listing, odds, servers
from armillary.cloud.api.compute.faults import fault, speak_nova
from armillary.cloud.api.policy import compute as policy
from armillary.cloud.api.policy.gate import gate
from armillary.cloud.api.shared import MOST_BYTES, Bounded, Microversions, RequestIds
from armillary.cloud.compute.service import ComputeService
from armillary.cloud.network.service import NetworkService


def compute_app(
    *,
    compute: ComputeService,
    network: NetworkService,
    auth: KeystoneAuth,
    base_url: str,
    auth_url: str,
    prefix: str,
) -> ASGIApp:
    """Compute v2.1 under `prefix`; `base_url` is where clients find it, the prefix included."""
    decide = gate(service="compute", prefix=prefix, rows=policy.ROWS)
    app = FastAPI(title="Compute", openapi_url=None, redirect_slashes=False, dependencies=[Depends(decide)])
    app.state.compute, app.state.network = compute, network
    app.state.authenticate = auth.principal
    app.state.base_url, app.state.auth_url = base_url, auth_url
    speak_nova(app)
    app.include_router(odds.versions, prefix=prefix)
    for room in (listing, servers, attributes, actions, catalog, figures, groups, odds):
        app.include_router(room.router, prefix=f"{prefix}/v2.1")
    versioned = Microversions(
        app,
        service="compute",
        minimum=(2, 1),
        maximum=(2, odds.MAXIMUM),
        legacy_header="X-OpenStack-Nova-API-Version",
        refuse=fault,
    )
    versioned = Bounded(versioned, most=MOST_BYTES, refuse=fault)
    return RequestIds(versioned, header_names=("x-openstack-request-id", "x-compute-request-id"))
