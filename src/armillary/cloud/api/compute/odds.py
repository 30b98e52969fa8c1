"""Versions, and the small collections that everyday clients ask for."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from armillary.base.errors import Invalid, NotFound
from armillary.cloud.access import allow_administering
from armillary.cloud.api.compute.deps import BaseUrl, Version
from armillary.cloud.api.compute.views import HOST
from armillary.cloud.api.shared import Caller
from armillary.cloud.core.config_drive import AVAILABILITY_ZONE

MAXIMUM = 93
router = APIRouter()
versions = APIRouter()

_SERVICES = ("nova-conductor", "nova-scheduler", "nova-compute")
_EXTENSIONS = (
    "os-availability-zone", "os-flavor-access", "os-flavor-extra-specs", "os-floating-ips", "os-hypervisors",
    "os-instance-actions", "os-keypairs", "os-quota-sets", "os-security-groups", "os-server-groups", "os-services",
    "os-simple-tenant-usage", "os-used-limits", "os-volumes",
)  # fmt: skip


def _version(base_url: str) -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": f"2.{MAXIMUM}",
        "min_version": "2.1",
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": f"{base_url}/v2.1/"}],
    }


@versions.get("/")
@versions.get("")
def list_versions(base_url: BaseUrl) -> dict[str, Any]:
    return {"versions": [_version(base_url)]}


@versions.get("/v2.1/")
@versions.get("/v2.1")
def show_version(base_url: BaseUrl) -> dict[str, Any]:
    version = _version(base_url)
    version["links"].append({"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"})
    kind = "application/vnd.openstack.compute+json;version=2.1"
    return {"version": {**version, "media-types": [{"base": "application/json", "type": kind}]}}


@router.get("/os-availability-zone")
def list_zones(who: Caller) -> dict[str, Any]:
    del who
    zone = {"zoneName": AVAILABILITY_ZONE, "zoneState": {"available": True}, "hosts": None}
    return {"availabilityZoneInfo": [zone]}


@router.get("/os-availability-zone/detail")
def list_zones_in_detail(who: Caller) -> dict[str, Any]:
    allow_administering(who, "os_compute_api:os-availability-zone:detail")
    host = {"nova-compute": {"available": True, "active": True, "updated_at": None}}
    zone = {"zoneName": AVAILABILITY_ZONE, "zoneState": {"available": True}, "hosts": {HOST: host}}
    return {"availabilityZoneInfo": [zone]}


@router.get("/os-services")
def list_services(
    who: Caller, version: Version, binary: str | None = None, host: str | None = None
) -> dict[str, Any]:
    allow_administering(who, "os_compute_api:os-services:list")
    shown: list[dict[str, Any]] = []
    for number, name in enumerate(_SERVICES, start=1):
        if binary not in {None, "", name} or host not in {None, "", HOST}:
            continue
        service: dict[str, Any] = {
            "id": f"00000000-0000-4000-8000-{number:012d}" if version >= 53 else number,
            "binary": name,
            "host": HOST,
            "zone": AVAILABILITY_ZONE if name == "nova-compute" else "internal",
            "status": "enabled",
            "state": "up",
            "updated_at": None,
            "disabled_reason": None,
        }
        shown.append(service | ({"forced_down": False} if version >= 11 else {}))
    return {"services": shown}


@router.get("/extensions")
def list_extensions(who: Caller) -> dict[str, Any]:
    del who
    shown: list[dict[str, Any]] = [
        {
            "alias": alias,
            "name": alias,
            "description": "",
            "links": [],
            "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
            "updated": "2014-12-03T00:00:00Z",
        }
        for alias in _EXTENSIONS
    ]
    return {"extensions": shown}


@router.get("/os-server-groups")
def list_server_groups(who: Caller) -> dict[str, Any]:
    del who
    return {"server_groups": []}


@router.post("/os-server-groups")
def create_server_group(who: Caller) -> None:
    del who
    raise Invalid("This cloud is one computer: servers cannot be kept together or apart on it.")


@router.get("/os-server-groups/{group_id}")
def show_server_group(group_id: str, who: Caller) -> dict[str, Any]:
    del who
    raise NotFound(f"Instance group {group_id} could not be found.")


@router.get("/os-migrations")
def list_migrations(who: Caller) -> dict[str, Any]:
    allow_administering(who, "os_compute_api:os-migrations:index")
    return {"migrations": []}


@router.get("/os-aggregates")
def list_aggregates(who: Caller) -> dict[str, Any]:
    allow_administering(who, "os_compute_api:os-aggregates:index")
    return {"aggregates": []}
