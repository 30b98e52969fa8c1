"""/limits, /os-quota-sets and /os-quota-class-sets"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.base.errors import Invalid
from armillary.cloud.access import allow_administering, project_of
from armillary.cloud.api.compute import wire
from armillary.cloud.api.compute.deps import Compute, Version
from armillary.cloud.api.compute.queries import check_query, text
from armillary.cloud.api.shared import Caller
from armillary.cloud.compute.quotas import QUOTAS

router = APIRouter()

_ABSOLUTE = {
    "maxTotalInstances": "instances",
    "maxTotalCores": "cores",
    "maxTotalRAMSize": "ram",
    "maxServerMeta": "metadata_items",
    "maxTotalKeypairs": "key_pairs",
    "maxServerGroups": "server_groups",
    "maxServerGroupMembers": "server_group_members",
}
_NETWORK = frozenset({"fixed_ips", "floating_ips", "security_groups", "security_group_rules"})
_FILES = frozenset({"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"})
_GROUPS = frozenset({"server_groups", "server_group_members"})


def _shown(version: int) -> frozenset[str]:
    """Network's quotas left Nova at 2.36, injected files' at 2.57."""
    gone = _NETWORK if version >= 36 else frozenset[str]()
    return QUOTAS - (gone | _FILES if version >= 57 else gone)


def _quota_set(figures: Mapping[str, Any], names: frozenset[str], **first: str) -> dict[str, Any]:
    return {**first, **{name: figures[name] for name in sorted(names)}}


@router.get("/limits")
def limits(request: Request, who: Caller, compute: Compute, version: Version) -> dict[str, Any]:
    known = {"tenant_id": text} | ({"reserved": text} if version < 75 else {})
    check_query(request.query_params, known, strict=version >= 57)
    project_id = request.query_params.get("tenant_id") or project_of(who).id
    if who.project is None or project_id != who.project.id:
        allow_administering(who, "os_compute_api:limits:other_project")
    detail = compute.quotas.quota_detail(who, project_id)
    absolute = {name: detail[quota][0] for name, quota in _ABSOLUTE.items()}
    if version < 57:
        absolute |= {"maxPersonality": detail["injected_files"][0]}
        absolute |= {"maxPersonalitySize": detail["injected_file_content_bytes"][0]}
    if version < 39:
        absolute |= {"maxImageMeta": detail["metadata_items"][0]}
    absolute |= {
        "totalRAMUsed": detail["ram"][1],
        "totalCoresUsed": detail["cores"][1],
        "totalInstancesUsed": detail["instances"][1],
        "totalServerGroupsUsed": detail["server_groups"][1],
    }
    if version < 36:
        # Neutron counts these, and Nova has shown nothing true of them ever since
        absolute |= {"maxTotalFloatingIps": -1, "maxSecurityGroups": -1, "maxSecurityGroupRules": -1}
        absolute |= {"totalFloatingIpsUsed": 0, "totalSecurityGroupsUsed": 0}
    return {"limits": {"rate": [], "absolute": absolute}}


def _check(request: Request, version: int) -> None:
    check_query(request.query_params, {"user_id": text}, strict=version >= 75)


@router.get("/os-quota-sets/{project_id}")
def show_quotas(
    project_id: str, request: Request, who: Caller, compute: Compute, version: Version
) -> dict[str, Any]:
    _check(request, version)
    figures = compute.quotas.quota_set(who, project_id)
    return {"quota_set": _quota_set(figures, _shown(version), id=project_id)}


@router.get("/os-quota-sets/{project_id}/detail")
def show_quotas_in_detail(
    project_id: str, request: Request, who: Caller, compute: Compute, version: Version
) -> dict[str, Any]:
    _check(request, version)
    figures = compute.quotas.quota_detail(who, project_id)
    detail = {name: {"limit": lim, "in_use": use, "reserved": 0} for name, (lim, use) in figures.items()}
    return {"quota_set": _quota_set(detail, _shown(version), id=project_id)}


@router.get("/os-quota-sets/{project_id}/defaults")
def show_default_quotas(project_id: str, compute: Compute, version: Version) -> dict[str, Any]:
    figures = compute.quotas.defaults(project_id)
    return {"quota_set": _quota_set(figures, _shown(version), id=project_id)}


@router.put("/os-quota-sets/{project_id}")
def set_quotas(
    project_id: str,
    body: wire.QuotaChanges,
    request: Request,
    who: Caller,
    compute: Compute,
    version: Version,
) -> dict[str, Any]:
    _check(request, version)
    if request.query_params.get("user_id"):
        raise Invalid("This cloud keeps quotas of projects, not of their users.", code="no_user_quotas")
    amounts = _amounts(body.quota_set, "quota_set", _shown(version), extra=frozenset({"force"}))
    changed = compute.quotas.set(who, project_id, amounts, force=body.force)
    return {"quota_set": _quota_set(changed, _shown(version))}


@router.delete("/os-quota-sets/{project_id}", status_code=202)
def reset_quotas(
    project_id: str, request: Request, who: Caller, compute: Compute, version: Version
) -> Response:
    _check(request, version)
    compute.quotas.reset(who, project_id)
    return Response(status_code=202)


@router.get("/os-quota-class-sets/{name}")
def show_class(name: str, compute: Compute, version: Version) -> dict[str, Any]:
    figures = compute.quotas.of_class(name)
    return {"quota_class_set": _quota_set(figures, _of_class(version), id=name)}


@router.put("/os-quota-class-sets/{name}")
def set_class(name: str, body: wire.QuotaClassChanges, compute: Compute, version: Version) -> dict[str, Any]:
    amounts = _amounts(body.quota_class_set, "quota_class_set", _of_class(version))
    return {"quota_class_set": _quota_set(compute.quotas.set_class(name, amounts), _of_class(version))}


def _of_class(version: int) -> frozenset[str]:
    return _shown(version) - (_GROUPS if version < 50 else frozenset())


def _amounts(
    asked: Mapping[str, Any], field: str, names: frozenset[str], *, extra: frozenset[str] = frozenset()
) -> dict[str, int]:
    amounts: dict[str, int] = {}
    for name, value in asked.items():
        if name in extra:
            continue
        if name not in names:
            raise Invalid(
                f"Invalid input for field/attribute {field}. Value: {str(dict(asked))[:255]}. Additional properties are "
                f"not allowed ('{name}' was unexpected)",
                code="unknown_quota",
            )
        amounts[name] = _amount(name, value)
    return amounts


def _amount(name: str, value: Any) -> int:
    said = f"Invalid input for field/attribute {name}. Value: {value}."
    if isinstance(value, str) and value.removeprefix("-").isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid(f"{said} {value!r} does not match '^-?[0-9]+$'", code="bad_quota")
    if value < -1:
        raise Invalid(f"{said} {value} is less than the minimum of -1", code="bad_quota")
    if value > 0x7FFFFFFF:
        raise Invalid(f"{said} {value} is greater than the maximum of {0x7FFFFFFF}", code="bad_quota")
    return value
