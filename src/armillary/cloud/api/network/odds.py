"""Versions, extensions, quotas, and collections that are always empty here."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.base.errors import NotFound
from armillary.cloud.access import allow_administering, project_of
from armillary.cloud.api.network import wire
from armillary.cloud.api.network.deps import Member, Network
from armillary.cloud.api.shared import Caller
from armillary.cloud.network.desk import QUOTAS

router = APIRouter()
versions = APIRouter()
JSON = dict[str, Any]

_EXTENSIONS = {
    "agent": "agent",
    "allowed-address-pairs": "Allowed Address Pairs",
    "availability_zone": "Availability Zone",
    "binding": "Port Binding",
    "external-net": "Neutron external network",
    "extraroute": "Neutron Extra Route",
    "ext-gw-mode": "Neutron L3 Configurable external gateway mode",
    "fip-port-details": "Floating IP Port Details Extension",
    "net-mtu": "Network MTU",
    "net-mtu-writable": "Network MTU (writable)",
    "network_availability_zone": "Network Availability Zone",
    "pagination": "Pagination support",
    "port-security": "Port Security",
    "project-id": "project_id field enabled",
    "provider": "Provider Network",
    "quota_details": "Quota details management support",
    "quotas": "Quota management support",
    "router": "Neutron L3 Router",
    "router_availability_zone": "Router Availability Zone",
    "security-group": "security-group",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-timestamp": "Resource timestamps",
    "stateful-security-group": "Stateful security group",
}
_EMPTY = {
    "subnetpools": "subnetpools",
    "address-scopes": "address_scopes",
    "rbac-policies": "rbac_policies",
    "address-groups": "address_groups",
    "flavors": "flavors",
    "service_profiles": "service_profiles",
    "segments": "segments",
}


@versions.get("/")
@versions.get("")
def list_versions(request: Request) -> JSON:
    link = {"rel": "self", "href": f"{request.app.state.base_url}/v2.0/"}
    return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [link]}]}


@router.get("/")
@router.get("")
def list_resources(who: Caller) -> JSON:
    del who
    names = (
        "networks",
        "subnets",
        "ports",
        "routers",
        "floatingips",
        "security-groups",
        "security-group-rules",
    )
    return {"resources": [{"name": name, "collection": name, "links": []} for name in names]}


def _extension(alias: str) -> JSON:
    return {
        "alias": alias,
        "name": _EXTENSIONS[alias],
        "description": _EXTENSIONS[alias],
        "updated": "2016-01-01T00:00:00-00:00",
        "links": [],
    }


@router.get("/extensions")
def list_extensions(who: Caller) -> JSON:
    del who
    return {"extensions": [_extension(alias) for alias in _EXTENSIONS]}


@router.get("/extensions/{alias}")
def show_extension(alias: str, who: Caller) -> JSON:
    del who
    if alias not in _EXTENSIONS:
        raise NotFound(f"Extension with alias {alias} does not exist", code="extension_not_found")
    return {"extension": _extension(alias)}


@router.get("/availability_zones")
def list_zones(who: Caller) -> JSON:
    del who
    zones = [{"name": "nova", "resource": kind, "state": "available"} for kind in ("network", "router")]
    return {"availability_zones": zones}


@router.get("/agents")
def list_agents(who: Caller) -> JSON:
    del who
    return {"agents": []}


@router.get("/quotas")
def list_quotas(who: Member, network: Network) -> JSON:
    allow_administering(who, "get_quota")
    project = project_of(who)
    return {"quotas": [{**network.limits(who, project.id), "project_id": project.id}]}


@router.get("/quotas/{project_id}")
def show_quota(project_id: str, who: Member, network: Network) -> JSON:
    return {"quota": dict(network.limits(who, project_id))}


@router.get("/quotas/{project_id}/default")
def show_default_quota(project_id: str, who: Member, network: Network) -> JSON:
    network.limits(who, project_id)
    return {"quota": dict(QUOTAS)}


@router.get("/quotas/{project_id}/details")
@router.get("/quotas/{project_id}/details.json")
def show_quota_in_detail(project_id: str, who: Member, network: Network) -> JSON:
    limits, used = network.limits(who, project_id), network.used(who, project_id)
    return {"quota": {name: {"limit": limits[name], "used": used[name], "reserved": 0} for name in limits}}


@router.put("/quotas/{project_id}")
def set_quota(project_id: str, body: wire.UpdateQuota, who: Member, network: Network) -> JSON:
    return {"quota": dict(network.set_limits(who, project_id, body.quota))}


@router.delete("/quotas/{project_id}", status_code=204)
def reset_quota(project_id: str, who: Member, network: Network) -> Response:
    network.reset_limits(who, project_id)
    return Response(status_code=204)


@router.get("/{collection}")
def list_nothing(collection: str, who: Caller) -> JSON:
    del who
    if collection not in _EMPTY:
        raise NotFound("The resource could not be found.")
    return {_EMPTY[collection]: []}
