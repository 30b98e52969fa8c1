"""Compute as one application."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from fastapi import Depends, FastAPI
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.api.compute import (
    actions,
    aggregates,
    attachments,
    attributes,
    creating,
    extensions,
    flavors,
    groups,
    history,
    hosts,
    images,
    insight,
    keypairs,
    listing,
    migrations,
    odds,
    old_networks,
    old_volumes,
    quotas,
    server_groups,
    servers,
    usage,
    versions,
)
from armillary.cloud.api.compute import consoles as console_rooms
from armillary.cloud.api.compute.faults import fault, speak_nova
from armillary.cloud.api.openapi.document import publish
from armillary.cloud.api.policy import compute as policy
from armillary.cloud.api.policy.gate import at_their_gates, gate
from armillary.cloud.api.shared import MOST_BYTES, Bounded, Microversions, RequestIds
from armillary.cloud.compute.service import ComputeService
from armillary.cloud.consoles.service import ConsoleService
from armillary.cloud.images.service import ImageService
from armillary.cloud.metadata.service import MetadataService
from armillary.cloud.network.service import NetworkService
from armillary.cloud.volumes.service import VolumeService

_ROOMS = (
    listing, creating, servers, attributes, attachments, console_rooms, history, insight, actions, flavors, keypairs, quotas, usage, server_groups, hosts,
    aggregates, migrations, extensions, groups, images, old_networks, old_volumes, odds,
)  # fmt: skip


def compute_app(
    *,
    compute: ComputeService,
    network: NetworkService,
    consoles: ConsoleService,
    images: ImageService,
    volumes: VolumeService,
    metadata: MetadataService,
    auth: KeystoneAuth,
    base_url: str,
    auth_url: str,
    prefix: str,
) -> ASGIApp:
    """Compute v2.1 under `prefix`; `base_url` is where clients find it, the prefix included."""
    decide = gate(service="compute", prefix=prefix, rows=policy.ROWS)
    app = FastAPI(title="Compute", openapi_url=None, redirect_slashes=False, dependencies=[Depends(decide)])
    app.state.gate = decide
    app.state.compute, app.state.network = compute, network
    app.state.consoles = consoles
    app.state.images, app.state.volumes, app.state.metadata = images, volumes, metadata
    app.state.authenticate = auth.principal
    app.state.base_url, app.state.auth_url = base_url, auth_url
    speak_nova(app)
    publish(app, service="compute", prefix=prefix, rows=policy.ROWS)
    app.routes.extend(_routes(prefix))
    versioned = Microversions(
        app,
        service="compute",
        minimum=(2, 1),
        maximum=(2, versions.MAXIMUM),
        legacy_header="X-OpenStack-Nova-API-Version",
        refuse=fault,
    )
    versioned = Bounded(versioned, most=MOST_BYTES, refuse=fault)
    return RequestIds(versioned, header_names=("x-openstack-request-id", "x-compute-request-id"))


@cache
def _routes(prefix: str) -> Sequence[BaseRoute]:
    rooms = ((f"{prefix}/v2.1", room.router) for room in _ROOMS)
    return at_their_gates([(prefix, versions.router), *rooms])
