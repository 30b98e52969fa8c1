"""Bodies that routes read by themselves, and queries: what FastAPI cannot see in a route's arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.cloud.api.policy.rows import Row

JSONSchema = dict[str, Any]
_TEXT: JSONSchema = {"type": "string"}
_MAYBE: JSONSchema = {"type": ["string", "null"]}
_ANYTHING: JSONSchema = {}
_FLAG: JSONSchema = {"type": "boolean"}
_PATCHES = ("application/openstack-images-v2.1-json-patch", "application/json-patch+json")
_BYTES = "application/octet-stream"


def _object(*required: str, **properties: JSONSchema) -> JSONSchema:
    return {"type": "object", "required": list(required), "properties": properties}


def _wrapped(wrapper: str, /, *required: str, **properties: JSONSchema) -> JSONSchema:
    return _object(wrapper, **{wrapper: _object(*required, **properties)})


_STEP = _object("op", "path", op={"enum": ["add", "replace", "remove"]}, path=_TEXT, value=_ANYTHING)
_PERSON = {"name": _TEXT, "password": _MAYBE, "email": _MAYBE, "description": _MAYBE, "enabled": _FLAG}
_PROJECT = {"name": _TEXT, "description": _MAYBE, "domain_id": _MAYBE, "enabled": _FLAG}
_SIGN_IN = _wrapped(
    "auth",
    "identity",
    identity=_object(
        "methods",
        methods={"type": "array", "items": {"enum": ["password", "token", "application_credential"]}},
        password={"type": "object"},
        token={"type": "object"},
        application_credential={"type": "object"},
    ),
    scope={"type": ["object", "string"]},
)
_READ: Mapping[tuple[str, str], Mapping[str, JSONSchema]] = {
    ("image", "POST /v2/images"): {
        "application/json": _object(
            name=_MAYBE, disk_format=_MAYBE, container_format=_MAYBE, visibility=_TEXT, protected=_FLAG,
            min_disk={"type": "integer"}, min_ram={"type": "integer"}, tags={"type": "array", "items": _TEXT},
        )
    },
    ("image", "PATCH /v2/images/{image_id}"): {
        kind: {"type": "array", "items": _STEP} for kind in _PATCHES
    },
    ("image", "PUT /v2/images/{image_id}/file"): {_BYTES: {"type": "string", "format": "binary"}},
    ("image", "POST /v2/images/{image_id}/members"): {"application/json": _object("member", member=_TEXT)},
    ("image", "PUT /v2/images/{image_id}/members/{member_id}"): {
        "application/json": _object("status", status={"enum": ["pending", "accepted", "rejected"]})
    },
    ("identity", "POST /v3/auth/tokens"): {"application/json": _SIGN_IN},
    ("identity", "POST /v3/projects"): {"application/json": _wrapped("project", "name", **_PROJECT)},
    ("identity", "PATCH /v3/projects/{project_id}"): {"application/json": _wrapped("project", **_PROJECT)},
    ("identity", "POST /v3/users"): {"application/json": _wrapped("user", "name", **_PERSON)},
    ("identity", "PATCH /v3/users/{user_id}"): {"application/json": _wrapped("user", **_PERSON)},
    ("identity", "POST /v3/users/{user_id}/password"): {
        "application/json": _wrapped(
            "user", "original_password", "password", original_password=_TEXT, password=_TEXT
        )
    },
    ("identity", "POST /v3/users/{user_id}/application_credentials"): {
        "application/json": _wrapped(
            "application_credential", "name", name=_TEXT, secret=_MAYBE, description=_MAYBE, expires_at=_MAYBE,
            unrestricted=_FLAG, roles={"type": "array", "items": _object(id=_TEXT, name=_TEXT)},
        )
    },
}  # fmt: skip
_PAGE = ("limit", "marker")
_QUERIES: Mapping[str, tuple[str, ...]] = {
    "/v2.1/servers": (
        *_PAGE, "sort_key", "sort_dir", "name", "status", "image", "flavor", "ip", "ip6", "host", "user_id",
        "project_id", "all_tenants", "changes-since", "changes-before", "deleted", "tags", "not-tags", "locked",
    ),
    "/v2.1/flavors": (*_PAGE, "sort_key", "sort_dir", "minRam", "minDisk", "is_public"),
    "/v2.1/os-keypairs": (*_PAGE, "user_id"),
    "/v2.1/os-simple-tenant-usage": (*_PAGE, "start", "end", "detailed"),
    "/v2.1/os-server-groups": ("limit", "offset", "all_projects"),
    "/v2/images": (
        *_PAGE, "sort", "sort_key", "sort_dir", "name", "status", "visibility", "owner", "tag", "id", "disk_format",
        "container_format", "member_status", "size_min", "size_max", "protected", "os_hidden", "created_at",
    ),
    "/v2.0/": (*_PAGE, "sort_key", "sort_dir", "page_reverse", "fields", "id", "name", "status", "project_id"),
    "/v3/{project_id}/": (
        *_PAGE, "offset", "sort", "sort_key", "sort_dir", "name", "status", "all_tenants", "metadata", "with_count",
        "created_at", "updated_at",
    ),
}  # fmt: skip
"""Of lists, by how their paths begin; the routes look at them themselves."""


def body_of(service: str, row: Row) -> dict[str, Any] | None:
    """Return the request body that a route reads by itself, or None."""
    content = _READ.get((service, f"{row.method} {row.path}"))
    if content is None:
        return None
    return {"required": True, "content": {kind: {"schema": schema} for kind, schema in content.items()}}


def actions_body(rows: list[Row]) -> dict[str, Any]:
    """Return the body of an endpoint whose actions have a row each: one of them, by its name."""
    one_of: list[JSONSchema] = [
        {
            "type": "object",
            "title": row.action,
            "description": f"{row.says} ({row.rule})",
            "required": [row.action],
            "additionalProperties": False,
            "properties": {row.action: _ANYTHING},
        }
        for row in rows
    ]
    return {"required": True, "content": {"application/json": {"schema": {"oneOf": one_of}}}}


def queries_of(row: Row) -> list[dict[str, Any]]:
    """Return the parameters of a list that its route looks at by itself."""
    if row.method != "GET" or row.path.rsplit("/", 1)[-1].startswith("{"):
        return []
    for beginning, names in _QUERIES.items():
        whole = row.path.removesuffix("/detail") == beginning
        if whole or (beginning.endswith("/") and row.path.startswith(beginning)):
            return [{"name": name, "in": "query", "required": False, "schema": _TEXT} for name in names]
    return []
