"""Versions, extensions, quotas, and what is there without anybody having made it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, cast

from fastapi import APIRouter, Body, Request
from starlette.responses import Response

from armillary.base.errors import NotFound
from armillary.cloud.access import project_of
from armillary.cloud.api.network import outside, plain, security, views
from armillary.cloud.api.network.attributes import Attribute, boolean, integer, read_body
from armillary.cloud.api.network.deps import Member, Network
from armillary.cloud.api.network.extensions import EXTENSIONS
from armillary.cloud.api.network.listing import answered, filtered, pruned, query_of
from armillary.cloud.api.shared import Caller
from armillary.cloud.network.desk import QUOTAS, forbid
from armillary.cloud.network.quotas import Availability

router = APIRouter()
versions = APIRouter()
JSON = dict[str, Any]
_LIMIT = Attribute(read=integer(-1))
_OF_NETWORKS = {
    "network_id": "id", "network_name": "name", "project_id": "project_id", "tenant_id": "project_id", "ip_version": ""
}  # fmt: skip
"""Filters of a list of networks' addresses, by what they are called for networks; one is for the subnets."""


@versions.get("/")
@versions.get("")
def list_versions(request: Request) -> JSON:
    link = {"rel": "self", "href": f"{request.app.state.base_url}/v2.0/"}
    return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [link]}]}


@router.get("/")
@router.get("")
def list_resources(request: Request, who: Caller) -> JSON:
    del who
    base = f"{request.app.state.base_url}/v2.0"
    return {
        "resources": [
            {
                "name": kind.singular,
                "collection": kind.plural,
                "links": [{"rel": "self", "href": f"{base}/{kind.path}"}],
            }
            for room in (plain, outside, security)
            for kind in room.KINDS
        ]
    }


def _extension(alias: str) -> JSON:
    return {
        "alias": alias,
        "name": EXTENSIONS[alias],
        "description": EXTENSIONS[alias],
        "updated": "2016-01-01T00:00:00-00:00",
        "links": [],
    }


@router.get("/extensions")
def list_extensions(who: Caller) -> JSON:
    del who
    return {"extensions": [_extension(alias) for alias in EXTENSIONS]}


@router.get("/extensions/{alias}")
def show_extension(alias: str, who: Caller) -> JSON:
    del who
    if alias not in EXTENSIONS:
        raise NotFound(f"Extension with alias {alias} does not exist", code="extension_not_found")
    return {"extension": _extension(alias)}


@router.get("/availability_zones")
def list_zones(request: Request, who: Caller) -> JSON:
    del who
    zones = [
        {"name": views.AVAILABILITY_ZONE, "resource": kind, "state": "available"}
        for kind in ("network", "router")
    ]
    return filtered(request, "availability_zones", zones)


@router.get("/agents")
def list_agents(who: Caller) -> JSON:
    del who  # no agent does this cloud's networking: the engine does
    return {"agents": []}


@router.get("/service-providers")
def list_service_providers(request: Request, who: Caller) -> JSON:
    del who
    provider = {"service_type": "L3_ROUTER_NAT", "name": "single_node", "default": True}
    return filtered(request, "service_providers", [provider])


@router.get("/quotas")
def list_quotas(who: Member, network: Network) -> JSON:
    return {
        "quotas": [
            {**limits, "project_id": project_id, "tenant_id": project_id}
            for project_id, limits in network.quotas.changed(who).items()
        ]
    }


@router.get("/quotas/tenant")
@router.get("/quotas/project")
def show_own_project(request: Request, who: Member) -> JSON:
    kind = request.url.path.rpartition("/")[2]
    return {kind: {f"{kind}_id": project_of(who).id}}


@router.get("/quotas/{project_id}")
def show_quota(project_id: str, who: Member, network: Network) -> JSON:
    return {"quota": dict(network.quotas.limits(who, project_id))}


@router.get("/quotas/{project_id}/default")
def show_default_quota(project_id: str, who: Member, network: Network) -> JSON:
    return {"quota": dict(network.quotas.default(who, project_id))}


@router.get("/quotas/{project_id}/details")
@router.get("/quotas/{project_id}/details.json")
def show_quota_in_detail(project_id: str, who: Member, network: Network) -> JSON:
    limits, used = network.quotas.limits(who, project_id), network.quotas.used(who, project_id)
    return {"quota": {name: {"limit": limits[name], "used": used[name], "reserved": 0} for name in limits}}


@router.put("/quotas/{project_id}")
def set_quota(project_id: str, body: Annotated[Any, Body()], who: Member, network: Network) -> JSON:
    known = {
        **dict.fromkeys(QUOTAS, _LIMIT),
        "check_limit": Attribute(read=boolean),
        "force": Attribute(read=boolean),
    }
    amounts = read_body(body, "quota", known, creating=False)
    check = bool(amounts.pop("check_limit", False))
    amounts.pop("force", None)  # what it asks for is done unless `check_limit` says otherwise
    return {"quota": dict(network.quotas.set(who, project_id, amounts, check_limit=check))}


@router.delete("/quotas/{project_id}", status_code=204)
def reset_quota(project_id: str, who: Member, network: Network) -> Response:
    network.quotas.reset(who, project_id)
    return Response(status_code=204)


@router.get("/network-ip-availabilities")
def list_availabilities(request: Request, who: Member, network: Network) -> JSON:
    if not who.is_cloud_admin:
        return {"network_ip_availabilities": []}
    asked = query_of(request, _OF_NETWORKS)
    version = asked.filters.get("ip_version", ["0"])[0]
    filters = {_OF_NETWORKS[name]: values for name, values in asked.filters.items() if _OF_NETWORKS[name]}
    page = network.networks.page(who, replace(asked, filters=filters))
    found = network.quotas.availability(page.items, version=int(version) if version.isdecimal() else 0)
    return answered(request, "network_ip_availabilities", page, [_availability(each) for each in found])


@router.get("/network-ip-availabilities/{network_id}")
def show_availability(network_id: str, request: Request, who: Member, network: Network) -> JSON:
    if not who.is_cloud_admin:
        raise forbid("get_network_ip_availability")
    (found,) = network.quotas.availability([network.networks.get(who, network_id)])
    return {"network_ip_availability": pruned(request, _availability(found))}


def _availability(found: Availability) -> JSON:
    item = found.network
    return {
        "network_id": item.id,
        "network_name": item.name,
        "tenant_id": item.project_id,
        "project_id": item.project_id,
        "subnet_ip_availability": [
            {
                "subnet_id": subnet.id,
                "ip_version": subnet.ip_version,
                "cidr": subnet.cidr,
                "subnet_name": subnet.name,
                "used_ips": used,
                "total_ips": total,
            }
            for subnet, total, used in found.subnets
        ],
        "used_ips": sum(used for _, _, used in found.subnets),
        "total_ips": sum(total for _, total, _ in found.subnets),
    }


@router.get("/auto-allocated-topology/{project_id}")
def get_topology(project_id: str, request: Request, who: Member, network: Network) -> JSON:
    dry_run = "dry-run" in request.query_params.getlist("fields")
    found = network.furnishing.got(who, project_id, dry_run=dry_run)
    own = cast("str", project_of(who).id) if project_id in {"null", "None"} else project_id
    identifier = "dry-run=pass" if dry_run else found.id if found is not None else None
    return {"auto_allocated_topology": {"id": identifier, "tenant_id": own, "project_id": own}}


@router.delete("/auto-allocated-topology/{project_id}", status_code=204)
def delete_topology(project_id: str, who: Member, network: Network) -> Response:
    network.furnishing.give_up(who, project_id)
    return Response(status_code=204)
