"""Network as one application."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from fastapi import Depends, FastAPI
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.api.network import odds, outside, plain, security
from armillary.cloud.api.network.faults import neutron_error, speak_neutron
from armillary.cloud.api.openapi.document import publish
from armillary.cloud.api.policy import network as policy
from armillary.cloud.api.policy.gate import at_their_gates, gate
from armillary.cloud.api.shared import MOST_BYTES, Bounded, RequestIds
from armillary.cloud.network.service import NetworkService


def network_app(
    *, network: NetworkService, auth: KeystoneAuth, base_url: str, auth_url: str, prefix: str
) -> ASGIApp:
    """Network v2.0 under `prefix`; `base_url` is where clients find it, the prefix included."""
    decide = gate(service="network", prefix=prefix, rows=policy.ROWS)
    app = FastAPI(title="Network", openapi_url=None, redirect_slashes=False, dependencies=[Depends(decide)])
    app.state.gate = decide
    app.state.network = network
    app.state.authenticate = auth.principal
    app.state.base_url, app.state.auth_url = base_url, auth_url
    speak_neutron(app)
    publish(app, service="network", prefix=prefix, rows=policy.ROWS)
    app.routes.extend(_routes(prefix))
    bounded = Bounded(
        app, most=MOST_BYTES, refuse=lambda status, why: neutron_error(status, "HTTPTooLarge", why)
    )
    return RequestIds(bounded)


@cache
def _routes(prefix: str) -> Sequence[BaseRoute]:
    rooms = ((f"{prefix}/v2.0", room.router) for room in (plain, security, outside, odds))
    return at_their_gates([(prefix, odds.versions), *rooms])
