"""/flavors and /os-keypairs"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from armillary.base.errors import Invalid, NotFound
from armillary.cloud.access import allow_administering, project_of
from armillary.cloud.api.compute import views, wire
from armillary.cloud.api.compute.deps import BaseUrl, Compute, Version, since
from armillary.cloud.api.shared import Caller, next_link, page_of, query_of
from armillary.cloud.compute.keypairs import owner_of
from armillary.cloud.compute.model import Flavor

router = APIRouter()

_EITHER = {"none"}
_FALSE = {"false", "0", "no", "off", "f"}


def _page(request: Request, who: Caller, compute: Compute) -> tuple[Sequence[Flavor], dict[str, Any]]:
    query = query_of(request.query_params)
    public = request.query_params.get("is_public", "true").lower()
    wanted = None if public in _EITHER else public not in _FALSE
    flavors = compute.flavors.list(who, is_public=wanted)
    for name, figure in (("minRam", "ram"), ("minDisk", "disk")):
        if name in query:
            if not query[name].isdigit():
                raise Invalid(f"Invalid {name} filter [{query[name]}]")
            flavors = [f for f in flavors if getattr(f, figure) >= int(query[name])]
    chosen, more = page_of(flavors, query, identify=lambda flavor: flavor.id)
    if not more:
        return chosen, {}
    url = f"{request.app.state.base_url}/v2.1{request.url.path.partition('/v2.1')[2]}"
    return chosen, {"flavors_links": next_link(url, request.query_params, chosen[-1].id)}


@router.get("/flavors")
def list_flavors(
    request: Request, who: Caller, compute: Compute, base_url: BaseUrl, version: Version
) -> dict[str, Any]:
    flavors, rest = _page(request, who, compute)
    shown = [views.brief_flavor(flavor, version=version, base_url=base_url) for flavor in flavors]
    return {"flavors": shown, **rest}


@router.get("/flavors/detail")
def list_flavors_in_detail(
    request: Request, who: Caller, compute: Compute, base_url: BaseUrl, version: Version
) -> dict[str, Any]:
    flavors, rest = _page(request, who, compute)
    shown = [views.full_flavor(flavor, version=version, base_url=base_url) for flavor in flavors]
    return {"flavors": shown, **rest}


@router.post("/flavors")
def create_flavor(
    body: wire.CreateFlavor, who: Caller, compute: Compute, base_url: BaseUrl, version: Version
) -> dict[str, Any]:
    asked = body.flavor
    flavor = compute.flavors.create(
        who, name=asked.name, vcpus=asked.vcpus, ram=asked.ram, disk=asked.disk, flavor_id=asked.id,
        ephemeral=asked.ephemeral, swap=asked.swap, is_public=asked.is_public, rxtx_factor=asked.rxtx_factor,
        description=asked.description,
    )  # fmt: skip
    return {"flavor": views.full_flavor(flavor, version=version, base_url=base_url)}


@router.get("/flavors/{flavor_id}")
def show_flavor(
    flavor_id: str, who: Caller, compute: Compute, base_url: BaseUrl, version: Version
) -> dict[str, Any]:
    flavor = compute.flavors.get(who, flavor_id)
    return {"flavor": views.full_flavor(flavor, version=version, base_url=base_url)}


@router.put("/flavors/{flavor_id}")
def update_flavor(
    flavor_id: str,
    body: wire.UpdateFlavor,
    who: Caller,
    compute: Compute,
    base_url: BaseUrl,
    version: Version,
) -> dict[str, Any]:
    since(version, 55)
    flavor = compute.flavors.describe(who, flavor_id, body.flavor.description)
    return {"flavor": views.full_flavor(flavor, version=version, base_url=base_url)}


@router.delete("/flavors/{flavor_id}", status_code=202)
def delete_flavor(flavor_id: str, who: Caller, compute: Compute) -> Response:
    compute.flavors.delete(who, flavor_id)
    return Response(status_code=202)


@router.get("/flavors/{flavor_id}/os-extra_specs")
def list_extra_specs(flavor_id: str, who: Caller, compute: Compute) -> dict[str, Any]:
    return {"extra_specs": dict(compute.flavors.get(who, flavor_id).extra_specs)}


@router.post("/flavors/{flavor_id}/os-extra_specs")
def set_extra_specs(flavor_id: str, body: wire.ExtraSpecs, who: Caller, compute: Compute) -> dict[str, Any]:
    compute.flavors.set_extra_specs(who, flavor_id, body.extra_specs)
    return {"extra_specs": body.extra_specs}


@router.get("/flavors/{flavor_id}/os-extra_specs/{key}")
def show_extra_spec(flavor_id: str, key: str, who: Caller, compute: Compute) -> dict[str, Any]:
    specs = compute.flavors.get(who, flavor_id).extra_specs
    if key not in specs:
        raise NotFound(f"Flavor {flavor_id} has no extra specs with key {key}.")
    return {key: specs[key]}


@router.delete("/flavors/{flavor_id}/os-extra_specs/{key}")
def delete_extra_spec(flavor_id: str, key: str, who: Caller, compute: Compute) -> Response:
    compute.flavors.delete_extra_spec(who, flavor_id, key)
    return Response(status_code=200)


@router.get("/flavors/{flavor_id}/os-flavor-access")
def list_access(flavor_id: str, who: Caller, compute: Compute) -> dict[str, Any]:
    projects = compute.flavors.access(who, flavor_id)
    return {"flavor_access": [{"flavor_id": flavor_id, "tenant_id": project} for project in projects]}


@router.post("/flavors/{flavor_id}/action")
def change_access(
    flavor_id: str, body: dict[str, dict[str, str]], who: Caller, compute: Compute
) -> dict[str, Any]:
    for name, argument in body.items():
        project_id = argument.get("tenant", "")
        match name:
            case "addTenantAccess":
                compute.flavors.give_access(who, flavor_id, project_id)
            case "removeTenantAccess":
                compute.flavors.take_access(who, flavor_id, project_id)
            case _:
                raise Invalid(f"There is no such action: {name}")
    return list_access(flavor_id, who, compute)


@router.get("/os-keypairs")
def list_keypairs(
    who: Caller, compute: Compute, version: Version, user_id: str | None = None
) -> dict[str, Any]:
    project_of(who)
    owner = owner_of(who, user_id) if version >= 10 else who.person.id
    pairs = compute.keypairs.list(owner)
    return {"keypairs": [{"keypair": views.keypair(pair, version=version)} for pair in pairs]}


@router.post("/os-keypairs")
def create_keypair(body: wire.CreateKeypair, who: Caller, compute: Compute, version: Version) -> Response:
    asked = body.keypair
    if asked.user_id is not None and asked.user_id != who.person.id:
        allow_administering(who, "os_compute_api:os-keypairs:create")
    if asked.public_key is None and version >= 92:
        raise Invalid("Invalid input for field/attribute keypair. 'public_key' is a required property")
    if asked.type == "x509":
        raise Invalid("This cloud keeps ssh keys only.", code="keypair_type_not_supported")
    pair, private = compute.keypairs.create(
        owner_of(who, asked.user_id), name=asked.name, public_key=asked.public_key
    )
    view = views.keypair(pair, version=version) | {"user_id": pair.person_id}
    if private is not None:
        view["private_key"] = private
    return JSONResponse({"keypair": view}, 201 if version >= 2 else 200)


@router.get("/os-keypairs/{name}")
def show_keypair(
    name: str, who: Caller, compute: Compute, version: Version, user_id: str | None = None
) -> dict[str, Any]:
    pair = compute.keypairs.get(owner_of(who, user_id if version >= 10 else None), name)
    return {"keypair": views.keypair(pair, version=version, in_full=True)}


@router.delete("/os-keypairs/{name}")
def delete_keypair(
    name: str, who: Caller, compute: Compute, version: Version, user_id: str | None = None
) -> Response:
    compute.keypairs.delete(owner_of(who, user_id if version >= 10 else None), name)
    return Response(status_code=204 if version >= 2 else 202)
