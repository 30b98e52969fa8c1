"""Which answers a row may have, and in which media types."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from armillary.cloud.api.policy.rows import ANYONE, Row

_VERSIONED = {"compute", "volume"}
_WITH_BODY = {"POST", "PUT", "PATCH"}
_JSON = "application/json"
_HTML = "text/html"
_ERROR = {
    "identity": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "title"],
                "properties": {
                    "code": {"type": "integer"},
                    "message": {"type": "string"},
                    "title": {"type": "string"},
                },
            }
        },
    },
    "network": {
        "type": "object",
        "required": ["NeutronError"],
        "properties": {
            "NeutronError": {
                "type": "object",
                "required": ["type", "message", "detail"],
                "properties": {name: {"type": "string"} for name in ("type", "message", "detail")},
            }
        },
    },
    "nova": {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
        },
    },
}
"""The shapes of refusals; Image's are pages."""
_UNAUTHORIZED = _ERROR["identity"]
"""of keystonemiddleware, which stands before all services but Image"""


_USUAL = {
    ("identity", "POST"): 201,
    ("identity", "PUT"): 204,
    ("identity", "DELETE"): 204,
    ("image", "POST"): 201,
    ("image", "PUT"): 204,
    ("image", "DELETE"): 204,
}
"""What services answer whose routes make their responses themselves."""


def successes_of(service: str, row: Row, declared: int) -> set[int]:
    """Return the statuses of success that a row may have; `declared` is what its route names."""
    if row.gives:
        return set(row.gives)
    if row.action:
        return {200, 202}  # most are only accepted; some have something to tell
    if declared != 200:
        return {declared}
    if service == "identity" and row.rule.startswith(("identity:check_", "identity:get_project_tag")):
        return {204}
    return {_USUAL.get((service, row.method), 200)}


def errors_of(service: str, row: Row) -> set[int]:
    """Return the statuses of the refusals that a row may have."""
    found = {400, 413, 429}  # what no service understands, takes, or has time for
    if row.least is not ANYONE:
        found |= {401, 403}  # even where no role is asked for, a credential can be limited to other requests
    if service in _VERSIONED:
        found |= {404, 406}  # what a microversion does not have is not there
    if "{" in row.path or row.method in _WITH_BODY:
        found.add(404)
    if row.method != "GET":
        found |= {403, 409}
    if service == "network":
        found.add(404)  # a marker, too, is looked for
    return found | set(row.refuses)


def responses(service: str, row: Row, *, declared: int, shape: dict[str, Any]) -> dict[str, Any]:
    """Return what OpenAPI says of all answers to a row.

    Args:
        service: whose words and shapes they have.
        row: which endpoint.
        declared: the status that the route itself names.
        shape: the schema that goes with it.
    """
    found: dict[str, Any] = {}
    for status in sorted(successes_of(service, row, declared)):
        found[str(status)] = {"description": HTTPStatus(status).phrase}
        bare = {"DELETE": {200, 202}, "PUT": {201}, "POST": {202} if row.action else set[int]()}
        empty = status == 204 or status in bare.get(row.method, set())
        if not empty:
            kind = row.media_type or _JSON
            found[str(status)]["content"] = {
                kind: {"schema": shape if status == declared and not row.media_type else {}}
            }
    for status in sorted(errors_of(service, row)):
        found.setdefault(str(status), {"description": HTTPStatus(status).phrase, **_refusal(service, status)})
    return found


def _refusal(service: str, status: int) -> dict[str, Any]:
    if service == "image":
        return {"content": {_HTML: {"schema": {"type": "string"}}}}
    name = "nova" if service in _VERSIONED else service
    schema = {"$ref": "#/components/schemas/Refusal"}
    if status == 401 and name != "identity":
        schema = {"$ref": "#/components/schemas/NotSignedIn"}
    found: dict[str, Any] = {_JSON: {"schema": schema}}
    if status == 404 and name == "nova":
        found[_HTML] = {"schema": {"type": "string"}}
    return {"content": found}


def shared_schemas(service: str) -> dict[str, Any]:
    """Return the schemas that the refusals of a service refer to."""
    if service == "image":
        return {}
    name = "nova" if service in _VERSIONED else service
    return {"Refusal": _ERROR[name], "NotSignedIn": _UNAUTHORIZED}
