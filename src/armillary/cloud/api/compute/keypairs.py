"""/os-keypairs"""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid
from armillary.base.ids import PersonId
from armillary.cloud.access import allow_administering
from armillary.cloud.api.compute import views, wire
from armillary.cloud.api.compute.deps import BaseUrl, Compute, Version
from armillary.cloud.api.compute.faults import only
from armillary.cloud.api.compute.queries import PAGING, Check, check_query, limit_of, text
from armillary.cloud.api.shared import Caller, next_link

router = APIRouter()
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _owner(who: Principal, request: Request, version: int, action: str) -> PersonId:
    """Whose key pairs are meant: since 2.10 administrators may say so."""
    query = request.query_params
    known: dict[str, Check] = {"user_id": text} if version >= 10 else {}
    if version >= 35 and action == "index":
        known.update(PAGING)
    check_query(query, known, strict=version >= 75)
    return _person(who, query.get("user_id") if version >= 10 else None, action)


def _person(who: Principal, wanted: str | None, action: str) -> PersonId:
    if wanted and wanted != who.person.id:
        allow_administering(who, f"os_compute_api:os-keypairs:{action}")
        return PersonId(wanted)
    return who.person.id


@router.get("/os-keypairs")
def list_keypairs(
    request: Request, who: Caller, compute: Compute, version: Version, base_url: BaseUrl
) -> Response:
    owner = _owner(who, request, version, "index")
    query = request.query_params
    limit = limit_of(query) if version >= 35 else None
    marker = (query.get("marker") or None) if version >= 35 else None
    pairs, more = compute.keypairs.page(owner, limit=limit, marker=marker)
    shown: dict[str, Any] = {
        "keypairs": [{"keypair": views.keypair(pair, version=version)} for pair in pairs]
    }
    if more:
        shown["keypairs_links"] = next_link(f"{base_url}/v2.1/keypairs", query, pairs[-1].name)
    return JSONResponse(shown)


@router.post("/os-keypairs")
def create_keypair(body: wire.CreateKeypair, who: Caller, compute: Compute, version: Version) -> Response:
    asked = body.keypair
    only(asked, "keypair", {"type": 2, "user_id": 10}, version)
    _check_name(asked.name, version)
    if asked.public_key is None and version >= 92:
        raise Invalid(
            f"Invalid input for field/attribute keypair. Value: {asked.model_dump(exclude_unset=True)}. "
            "'public_key' is a required property",
            code="public_key_needed",
        )
    owner = _person(who, asked.user_id, "create")
    pair, private = compute.keypairs.create(
        owner, name=asked.name, public_key=asked.public_key, kind=asked.type
    )
    view = views.keypair(pair, version=version) | {"user_id": pair.person_id}
    if private is not None:
        view["private_key"] = private
    return JSONResponse({"keypair": view}, 201 if version >= 2 else 200)


def _check_name(name: str, version: int) -> None:
    """Refuse characters that Nova refuses: @ and . are allowed since 2.92."""
    allowed = "@._- " if version >= 92 else "_- "
    if re.fullmatch(f"[{re.escape(allowed)}A-Za-z0-9]+", name) is None:
        raise Invalid(
            "An invalid 'name' value was provided. The name must be: Only expected characters: "
            f"[{allowed}{_LETTERS}]",
            code="invalid_keypair_name",
        )


@router.get("/os-keypairs/{name}")
def show_keypair(
    name: str, request: Request, who: Caller, compute: Compute, version: Version
) -> dict[str, Any]:
    pair = compute.keypairs.get(_owner(who, request, version, "show"), name)
    return {"keypair": views.keypair(pair, version=version, in_full=True)}


@router.delete("/os-keypairs/{name}")
def delete_keypair(name: str, request: Request, who: Caller, compute: Compute, version: Version) -> Response:
    compute.keypairs.delete(_owner(who, request, version, "delete"), name)
    return Response(status_code=204 if version >= 2 else 202)
