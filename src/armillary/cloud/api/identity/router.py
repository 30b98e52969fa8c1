"""Identity v3 as one router: versions, then each collection, then Keystone's words for what is not there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request

from armillary.accounts.model import Allocation, Principal
from armillary.accounts.service import AccountsService
from armillary.base.clock import Clock
from armillary.base.errors import NotFound
from armillary.base.units import GiB, MiB
from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.api.identity import (
    assignment_routes,
    credential_routes,
    group_routes,
    key_routes,
    project_routes,
    read_only_routes,
    tag_routes,
    token_routes,
    user_routes,
)
from armillary.cloud.api.identity.catalog import Catalog
from armillary.cloud.api.identity.faults import KeystoneJSON, route_class
from armillary.cloud.api.identity.room import Room
from armillary.cloud.api.policy.gate import Decide
from armillary.cloud.api.shared import principal_of

SMALL_ALLOCATION = Allocation(cores=8, ram=MiB(16384), disk=GiB(100), storage=GiB(20), batch_cores=8)
"""What a project gets that an administrator makes with a stock client, which has no words for figures."""

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def router(
    *,
    accounts: AccountsService,
    catalog: Catalog,
    clock: Clock,
    auth: KeystoneAuth | None = None,
    lifetime: timedelta = timedelta(hours=1),
    allocation: Allocation = SMALL_ALLOCATION,
    prefix: str,
    decide: Decide,
) -> APIRouter:
    """Return the routes, for `identity_app`: its gate alone asks for roles.

    Args:
        accounts: whom it signs in.
        catalog: the services of this cloud, Identity among them; its URL is the base of all links.
        clock: tells when tokens end.
        auth: reads tokens; made here unless given.
        lifetime: of a token.
        allocation: of projects made through this API.
        prefix: Identity's own, before the paths of all routes.
        decide: the gate, asked before each of them.
    """
    auth = auth or KeystoneAuth(accounts=accounts, identity_url=catalog.identity_url)

    async def signed_in(request: Request) -> Principal:
        return await principal_of(request, auth.principal)

    room = Room(
        accounts=accounts,
        catalog=catalog,
        clock=clock,
        lifetime=lifetime,
        allocation=allocation,
        signed_in=Depends(signed_in),
    )
    routes = APIRouter(
        route_class=route_class(room.url), tags=["identity"], prefix=prefix, dependencies=[Depends(decide)]
    )
    _add_versions(routes, room)
    token_routes.add(routes, room)
    project_routes.add(routes, room)
    user_routes.add(routes, room)
    credential_routes.add(routes, room)
    key_routes.add(routes, room)
    group_routes.add(routes, room)
    assignment_routes.add(routes, room)
    tag_routes.add(routes, room)
    read_only_routes.add(routes, room)
    _add_nowhere(routes)
    return routes


def _add_versions(routes: APIRouter, room: Room) -> None:
    version: dict[str, Any] = {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{room.url}/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }

    @routes.api_route("", methods=["GET", "HEAD"])
    @routes.api_route("/", methods=["GET", "HEAD"])
    def versions() -> KeystoneJSON:
        body = {"versions": {"values": [version]}}
        return KeystoneJSON(body, status_code=300, headers={"Location": f"{room.url}/"})

    @routes.api_route("/v3", methods=["GET", "HEAD"])
    @routes.api_route("/v3/", methods=["GET", "HEAD"])
    def version_3() -> KeystoneJSON:
        return KeystoneJSON({"version": version})


def _add_nowhere(routes: APIRouter) -> None:
    @routes.api_route("/{rest:path}", methods=_METHODS, include_in_schema=False)
    def nowhere(request: Request, rest: str) -> None:
        raise NotFound(
            "The requested URL was not found on the server. If you entered the URL manually please check "
            "your spelling and try again."
        )
