"""Network as one application."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from starlette.types import ASGIApp

from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.api.network import odds, outside, plain, security
from armillary.cloud.api.network.faults import neutron_error, speak_neutron
from armillary.cloud.api.openapi.document import publish
from armillary.cloud.api.policy import network as policy
from armillary.cloud.api.policy.gate import gate
from armillary.cloud.api.shared import MOST_BYTES, Bounded, RequestIds
from armillary.cloud.network.service import NetworkService


def network_app(
    *, network: NetworkService, auth: KeystoneAuth, base_url: str, auth_url: str, prefix: str
) -> ASGIApp:
    """Network v2.0 under `prefix`; `base_url` is where clients find it, the prefix included."""
    decide = gate(service="network", prefix=prefix, rows=policy.ROWS)
    app = FastAPI(title="Network", openapi_url=None, redirect_slashes=False, dependencies=[Depends(decide)])
    app.state.network = network
    app.state.authenticate = auth.principal
    app.state.base_url, app.state.auth_url = base_url, auth_url
    speak_neutron(app)
    publish(app, service="network", prefix=prefix, rows=policy.ROWS)
    app.include_router(odds.versions, prefix=prefix)
    for room in (plain, security, outside, odds):
        app.include_router(room.router, prefix=f"{prefix}/v2.0")
    bounded = Bounded(
        app, most=MOST_BYTES, refuse=lambda status, why: neutron_error(status, "HTTPTooLarge", why)
    )
    return RequestIds(bounded)
