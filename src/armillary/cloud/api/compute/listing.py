"""GET /servers and /servers/detail"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse, Response

from armillary.accounts.model import Principal
from armillary.base.errors import Forbidden, Invalid
from armillary.cloud.api.compute import views
from armillary.cloud.api.compute.deps import BaseUrl, Compute, Network, Version, sights
from armillary.cloud.api.compute.queries import (
    PAGING,
    TRUE,
    Check,
    check_query,
    limit_of,
    moment,
    moment_of,
    one_of,
    order_of,
    pattern,
    text,
    truth,
)
from armillary.cloud.api.shared import Caller, next_link
from armillary.cloud.compute.listing import (
    EXACT,
    MATCHED,
    SORTED,
    ServerFilter,
    check_sortable,
    states_of_status,
)

router = APIRouter()

_EXACT = {
    "user_id", "project_id", "tenant_id", "launch_index", "image_ref", "image", "vm_state", "task_state", "host", "uuid",
    "sort_dir", "all_tenants", "soft_deleted", "deleted", "status",
}  # fmt: skip
_PATTERNS = {
    "kernel_id", "ramdisk_id", "hostname", "key_name", "power_state", "node", "flavor", "reservation_id", "launched_at",
    "terminated_at", "availability_zone", "name", "display_name", "description", "display_description", "locked_by",
    "root_device_name", "config_drive", "access_ip_v4", "access_ip_v6", "auto_disk_config", "progress", "ip", "ip6",
    "created_at",
}  # fmt: skip
_TAGS = ("tags", "tags-any", "not-tags", "not-tags-any")
_INNER = {
    "block_device_mapping", "services", "metadata", "system_metadata", "info_cache", "security_groups", "pci_devices",
}  # fmt: skip
"""Nova's database has tables of these names; asking for them has been refused ever since, to those who may ask all."""
_IGNORED_KEYS = {
    "architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted", "deleted_at",
    "disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on", "memory_mb", "os_type",
    "root_gb", "shutdown_terminate", "user_data", "vcpus", "vm_mode", "reservation_id",
}  # fmt: skip
"""Sort keys that mean nothing, and were refused from 2.75 on."""
_EVERYBODYS: Sequence[tuple[int, tuple[str, ...]]] = (
    (1, ("reservation_id", "name", "status", "image", "flavor", "ip", "changes-since", "all_tenants")),
    (5, ("ip6",)),
    (26, _TAGS),
    (66, ("changes-before",)),
    (73, ("locked",)),
    (83, ("availability_zone", "config_drive", "key_name", "created_at", "launched_at", "terminated_at", "power_state",
          "task_state", "vm_state", "progress", "user_id")),
    (90, ("hostname",)),
)  # fmt: skip
"""Filters that those who do not administer the cloud may use, by the microversion that gave them; others are ignored."""
_ALIASES = {"display_name": "name", "display_description": "description", "image_ref": "image"}


def _known(version: int) -> Mapping[str, Check]:
    keys = set(SORTED) - {"locked"}
    keys |= {"locked"} if version >= 73 else set[str]()
    keys |= _IGNORED_KEYS | ({"locked"} if version < 73 else set()) if version < 75 else set[str]()
    known: dict[str, Check] = {
        **dict.fromkeys(_EXACT | _INNER, text),
        **dict.fromkeys(_PATTERNS, pattern),
        **PAGING,
        "changes-since": moment,
        "sort_key": one_of(keys),
    }
    if version >= 26:
        known |= dict.fromkeys(_TAGS, pattern)
    if version >= 66:
        known["changes-before"] = moment
    if version >= 73:
        known["locked"] = text
    return known


_KNOWN = {version: _known(version) for version in (1, 26, 66, 73, 75)}


def wanted(query: QueryParams, who: Principal, version: int) -> ServerFilter | None:
    """The filter that a query means; None if nothing can match it.

    Raises:
        Invalid, Forbidden: in Nova's words.
    """
    known = _KNOWN[max(step for step in _KNOWN if step <= version)]
    named = {name: value for name, value in query.items() if not name.startswith("_")}
    # what begins with an underscore passes here and is refused below, whatever the microversion
    check_query(
        query if len(named) == len(query) else QueryParams([i for i in query.multi_items() if i[0] in named]),
        known,
        strict=version >= 75,
    )
    options = _permitted(query, who, version)
    for name in options:
        if name in _INNER or name.startswith("_"):
            raise Invalid(f"Invalid filter field: {name}.", code="invalid_filter")
    statuses = query.getlist("status") or None
    if statuses is not None and not states_of_status(statuses)[0]:
        if version >= 38:
            raise Invalid("Invalid status value", code="invalid_status")
        return None
    times = {
        name: moment_of(name, options[name])
        for name in ("changes-since", "changes-before")
        if name in options
    }
    since, before = times.get("changes-since"), times.get("changes-before")
    if since is not None and before is not None and before < since:
        raise Invalid(
            "The value of changes-since must be less than or equal to changes-before.", code="bad_period"
        )
    everybody = "all_tenants" in options and _all_tenants(options["all_tenants"])
    order = [
        (key, down)
        for key, down in order_of(query)
        if key in SORTED and not (key == "locked" and version < 73)
    ]
    for key, _ in order:
        check_sortable(who, key)
    tags = {name: options[name].split(",") for name in _TAGS if version >= 26 and name in options}
    return ServerFilter(
        all_projects=everybody,
        project_id=options.get("project_id", options.get("tenant_id")) if everybody else None,
        deleted=_deleted(options, who, statuses, ended=bool(times)),
        statuses=statuses,
        changed_since=since,
        changed_before=before,
        locked=truth(options["locked"]) if version >= 73 and "locked" in options else None,
        exactly={name: options[name] for name in EXACT if name in options},
        matching={name: options[name] for name in MATCHED if name in options},
        ip=options.get("ip"),
        ip6=options.get("ip6"),
        tags=tags.get("tags", ()),
        tags_any=tags.get("tags-any", ()),
        not_tags=tags.get("not-tags", ()),
        not_tags_any=tags.get("not-tags-any", ()),
        order=order,
        limit=limit_of(query),
        marker=query.get("marker") or None,
    )


def _permitted(query: QueryParams, who: Principal, version: int) -> dict[str, str]:
    paging = {"limit", "marker", "sort_key", "sort_dir"}
    if who.is_cloud_admin:
        options = {name: value for name, value in query.items() if name not in paging}
    else:
        open_ = {name for step, names in _EVERYBODYS if step <= version for name in names}
        options = {name: value for name, value in query.items() if name in open_}
    # clients send what was not asked for as empty
    return {
        _ALIASES.get(name, name): value for name, value in options.items() if value or name == "all_tenants"
    }


def _all_tenants(value: str) -> bool:
    return True if not value else truth(value)


def _deleted(
    options: Mapping[str, str], who: Principal, statuses: Sequence[str] | None, *, ended: bool
) -> bool | None:
    if statuses is not None and {status.lower() for status in statuses} == {"deleted"}:
        if not who.is_cloud_admin:
            raise Forbidden("Only administrators may list deleted instances", code="policy_not_authorized")
        return True
    if "deleted" in options:
        return options["deleted"].strip().lower() in TRUE
    return None if ended else False


def _links(request: Request, base_url: str, last: str) -> dict[str, Any]:
    url = f"{base_url}/v2.1{request.url.path.partition('/v2.1')[2]}"
    return {"servers_links": next_link(url, request.query_params, last)}


@router.get("/servers")
def list_servers(
    request: Request, who: Caller, compute: Compute, base_url: BaseUrl, version: Version
) -> Response:
    asked = wanted(request.query_params, who, version)
    if asked is None:
        return JSONResponse({"servers": []})
    page = compute.lists.brief(who, asked)
    shown: dict[str, Any] = {
        "servers": [
            {"id": server_id, "name": name, "links": views.links(base_url, "servers", server_id)}
            for server_id, name in page.servers
        ]
    }
    return JSONResponse(shown | (_links(request, base_url, page.servers[-1][0]) if page.more else {}))


@router.get("/servers/detail")
def list_servers_in_detail(
    request: Request, who: Caller, compute: Compute, network: Network, base_url: BaseUrl, version: Version
) -> Response:
    asked = wanted(request.query_params, who, version)
    if asked is None:
        return JSONResponse({"servers": []})
    as_admin = who.is_cloud_admin
    page = compute.lists.full(who, asked, user_data=as_admin and version >= 3)
    seen = sights(compute, network, page.servers)
    shown: dict[str, Any] = {
        "servers": [
            views.full_server(server, seen[server.id], version=version, base_url=base_url, as_admin=as_admin)
            for server in page.servers
        ]
    }
    return JSONResponse(shown | (_links(request, base_url, page.servers[-1].id) if page.more else {}))
