"""/flavors"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from armillary.base.errors import Invalid, NotFound
from armillary.cloud.api.compute import views, wire
from armillary.cloud.api.compute.deps import BaseUrl, Compute, Version, since
from armillary.cloud.api.compute.extra_specs import check_specs
from armillary.cloud.api.compute.faults import only
from armillary.cloud.api.compute.queries import (
    FALSE,
    PAGING,
    TRUE,
    Check,
    check_query,
    limit_of,
    one_of,
    text,
)
from armillary.cloud.api.shared import Caller, next_link
from armillary.cloud.compute.model import Flavor

router = APIRouter()

_SORTED: Mapping[str, Callable[[Flavor], Any]] = {
    "flavorid": lambda f: f.id,
    "id": lambda f: f.id,
    "name": lambda f: f.name,
    "memory_mb": lambda f: f.ram,
    "vcpus": lambda f: f.vcpus,
    "root_gb": lambda f: f.disk,
    "ephemeral_gb": lambda f: f.ephemeral,
    "swap": lambda f: f.swap,
    "rxtx_factor": lambda f: f.rxtx_factor,
    "is_public": lambda f: f.is_public,
    "description": lambda f: f.description or "",
    # the same for every flavor of ours
    "created_at": lambda _: 0,
    "updated_at": lambda _: 0,
    "disabled": lambda _: 0,
    "vcpu_weight": lambda _: 0,
}
_KNOWN: Mapping[str, Check] = {
    **PAGING,
    **dict.fromkeys(("is_public", "minRam", "minDisk"), text),
    "sort_key": one_of(_SORTED),
    "sort_dir": one_of(("asc", "desc")),
}


def _page(
    request: Request, who: Caller, compute: Compute, base_url: str, version: int
) -> tuple[Sequence[Flavor], dict[str, Any]]:
    query = request.query_params
    check_query(query, _KNOWN, strict=version >= 75)
    flavors = compute.flavors.list(
        who, is_public=_public(query.get("is_public")) if who.is_cloud_admin else True
    )
    for name, figure in (("minRam", "ram"), ("minDisk", "disk")):
        asked = query.get(name)
        if asked:
            least = _figure(name, asked)
            flavors = [f for f in flavors if getattr(f, figure) >= least]
    if "sort_key" in query or "sort_dir" in query:
        down = query.get("sort_dir") == "desc"
        flavors.sort(key=lambda f: f.id)
        flavors.sort(key=_SORTED[query.get("sort_key", "flavorid")], reverse=down)
    start = 0
    marker = query.get("marker")
    if marker:
        ids = [flavor.id for flavor in flavors]
        if marker not in ids:
            raise Invalid(f"marker [{marker}] not found", code="marker_not_found")
        start = ids.index(marker) + 1
    limit = limit_of(query)
    chosen = flavors[start : start + limit]
    if not chosen or start + limit >= len(flavors):
        return chosen, {}
    url = f"{base_url}/v2.1{request.url.path.partition('/v2.1')[2]}"
    return chosen, {"flavors_links": next_link(url, query, chosen[-1].id)}


def _public(said: str | None) -> bool | None:
    match (said or "true").strip().lower():
        case "none":
            return None
        case word if word in TRUE:
            return True
        case word if word in FALSE:
            return False
        case _:
            raise Invalid(f"Invalid is_public filter [{said}]", code="bad_boolean")


def _figure(name: str, said: str) -> int:
    try:
        return int(said)
    except ValueError as error:
        raise Invalid(f"Invalid {name} filter [{said}]", code="bad_number") from error


@router.get("/flavors")
def list_flavors(
    request: Request, who: Caller, compute: Compute, base_url: BaseUrl, version: Version
) -> Response:
    flavors, rest = _page(request, who, compute, base_url, version)
    shown = [views.brief_flavor(flavor, version=version, base_url=base_url) for flavor in flavors]
    return JSONResponse({"flavors": shown, **rest})


@router.get("/flavors/detail")
def list_flavors_in_detail(
    request: Request, who: Caller, compute: Compute, base_url: BaseUrl, version: Version
) -> Response:
    flavors, rest = _page(request, who, compute, base_url, version)
    shown = [views.full_flavor(flavor, version=version, base_url=base_url) for flavor in flavors]
    return JSONResponse({"flavors": shown, **rest})


@router.post("/flavors")
def create_flavor(
    body: wire.CreateFlavor, who: Caller, compute: Compute, base_url: BaseUrl, version: Version
) -> dict[str, Any]:
    asked = body.flavor
    only(asked, "flavor", {"description": 55}, version)
    flavor = compute.flavors.create(
        who, name=asked.name, vcpus=asked.vcpus, ram=asked.ram, disk=asked.disk, flavor_id=asked.id,
        ephemeral=asked.ephemeral, swap=asked.swap, is_public=asked.is_public, rxtx_factor=asked.rxtx_factor,
        description=asked.description,
    )  # fmt: skip
    return {"flavor": views.full_flavor(flavor, version=version, base_url=base_url)}


@router.get("/flavors/{flavor_id}")
def show_flavor(
    flavor_id: str, who: Caller, compute: Compute, base_url: BaseUrl, version: Version
) -> Response:
    flavor = compute.flavors.get(who, flavor_id)
    return JSONResponse({"flavor": views.full_flavor(flavor, version=version, base_url=base_url)})


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
def set_extra_specs(
    flavor_id: str, body: wire.ExtraSpecs, who: Caller, compute: Compute, version: Version
) -> dict[str, Any]:
    check_specs(body.extra_specs, version=version)
    compute.flavors.set_extra_specs(who, flavor_id, body.extra_specs)
    return {"extra_specs": body.extra_specs}


@router.get("/flavors/{flavor_id}/os-extra_specs/{key}")
def show_extra_spec(flavor_id: str, key: str, who: Caller, compute: Compute) -> dict[str, Any]:
    specs = compute.flavors.get(who, flavor_id).extra_specs
    if key not in specs:
        raise NotFound(f"Flavor {flavor_id} has no extra specs with key {key}.")
    return {key: specs[key]}


@router.put("/flavors/{flavor_id}/os-extra_specs/{key}")
def set_extra_spec(
    flavor_id: str, key: str, body: wire.ExtraSpec, who: Caller, compute: Compute, version: Version
) -> dict[str, Any]:
    if key not in body.root:
        raise Invalid("Request body and URI mismatch", code="body_and_uri_differ")
    check_specs(body.root, version=version)
    compute.flavors.set_extra_specs(who, flavor_id, body.root)
    return {key: body.root[key]}


@router.delete("/flavors/{flavor_id}/os-extra_specs/{key}")
def delete_extra_spec(flavor_id: str, key: str, who: Caller, compute: Compute) -> Response:
    compute.flavors.delete_extra_spec(who, flavor_id, key)
    return Response(status_code=200)


@router.get("/flavors/{flavor_id}/os-flavor-access")
def list_access(flavor_id: str, who: Caller, compute: Compute) -> dict[str, Any]:
    projects = compute.flavors.access(who, flavor_id)
    return {"flavor_access": [{"flavor_id": flavor_id, "tenant_id": project} for project in projects]}


@router.post("/flavors/{flavor_id}/action")
def change_access(flavor_id: str, body: wire.FlavorAction, who: Caller, compute: Compute) -> dict[str, Any]:
    if body.add is not None:
        compute.flavors.give_access(who, flavor_id, body.add.tenant)
    if body.remove is not None:
        compute.flavors.take_access(who, flavor_id, body.remove.tenant)
    return list_access(flavor_id, who, compute)
