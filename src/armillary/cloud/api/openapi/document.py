"""The document itself: what FastAPI sees of the routes, with what the rows of the policy say."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response

from armillary.cloud.api.openapi.bodies import actions_body, body_of, queries_of
from armillary.cloud.api.openapi.statuses import responses, shared_schemas
from armillary.cloud.api.policy.rows import ANYONE, Row

PATH = "/openapi.json"
_TITLES = {
    "identity": ("Identity", "3.14"),
    "image": ("Image", "2.15"),
    "compute": ("Compute", "2.93"),
    "network": ("Network", "2.0"),
    "volume": ("Block Storage", "3.70"),
}
_OF_FASTAPI = {"HTTPValidationError", "ValidationError"}
JSONObject = dict[str, Any]


def publish(app: FastAPI, *, service: str, prefix: str, rows: Sequence[Row]) -> None:
    """Let a service describe itself at `/openapi.json` under its prefix, to anyone.

    The description is made when it is first asked for: it takes longer than most platforms live without it.
    """
    made: list[bytes] = []

    def describe(request: Request) -> Response:
        if not made:
            made.append(json.dumps(document(app, service=service, prefix=prefix, rows=rows)).encode())
        return Response(made[0], media_type="application/json")

    app.add_api_route(f"{prefix}{PATH}", describe, methods=["GET"], include_in_schema=False)


def document(app: FastAPI, *, service: str, prefix: str, rows: Sequence[Row]) -> JSONObject:
    """Return the OpenAPI document of a service.

    Args:
        app: whose routes it describes.
        service: whose words and shapes it has.
        prefix: what its routes have before the paths of the table.
        rows: the service's part of the table.
    """
    title, version = _TITLES[service]
    with warnings.catch_warnings():
        # routes with two paths, or for GET and HEAD, have one name; the operations get names of their own below
        warnings.simplefilter("ignore")
        seen = get_openapi(title=title, version=version, routes=app.routes)
    table: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        table.setdefault((row.method.lower(), row.path), []).append(row)
    paths: JSONObject = {}
    for path, operations in seen["paths"].items():
        template = path.removeprefix(prefix).rstrip("/") or "/"
        found = {
            method: _operation(service, known, operation)
            for method, operation in operations.items()
            if (known := table.get((method, template)))
        }
        if found and (path == prefix or not path.endswith("/")):
            paths[path] = found
    schemas = {n: s for n, s in seen.get("components", {}).get("schemas", {}).items() if n not in _OF_FASTAPI}
    return {
        "openapi": seen["openapi"],
        "info": {"title": f"{title} of an embedded cloud", "version": version},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, **shared_schemas(service)},
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }


def _operation(service: str, rows: Sequence[Row], seen: Mapping[str, Any]) -> JSONObject:
    first = rows[0]
    said: dict[str, JSONObject] = seen["responses"]
    declared = min((status for status in said if status.startswith("2")), default="200")
    shapes = [kind.get("schema", {}) for kind in said.get(declared, {}).get("content", {}).values()]
    answers: JSONObject = {}
    for row in rows:
        answers = responses(service, row, declared=int(declared), shape=(shapes or [{}])[0]) | answers
    shown: JSONObject = {
        "operationId": f"{first.method.lower()} {first.path}",
        "summary": first.says if not first.action else "one of its actions",
        "description": _who(rows),
        "parameters": [
            *seen.get("parameters", ()),
            *_missing(seen, [*_in_path(first.path), *queries_of(first)]),
        ],
        "responses": dict(sorted(answers.items())),
        "security": [] if first.least is ANYONE else [{"token": list[str]()}],
    }
    body = actions_body(list(rows)) if first.action else body_of(service, first) or seen.get("requestBody")
    return shown | ({"requestBody": body} if body else {})


def _in_path(path: str) -> list[JSONObject]:
    """The parameters of a path; FastAPI leaves out those that a route does not look at, such as Cinder's project."""
    names = re.findall(r"{([^}:]+)", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _missing(seen: Mapping[str, Any], queries: list[JSONObject]) -> list[JSONObject]:
    known = {parameter["name"] for parameter in seen.get("parameters", ())}
    return [query for query in queries if query["name"] not in known]


def _who(rows: Sequence[Row]) -> str:
    """Who may use it, in words."""
    least = sorted({row.least.value for row in rows})
    rules = ", ".join(f"`{rule}`" for rule in sorted({row.rule for row in rows if row.rule}))
    foreign = sorted({row.foreign for row in rows if row.foreign})
    words = f"For {' or '.join(least)}."
    if rules:
        words += f" Rule: {rules}."
    if foreign:
        answer = f"{foreign[0]} {HTTPStatus(foreign[0]).phrase}"
        words += f" What another project has is answered by {answer}."
    return words
