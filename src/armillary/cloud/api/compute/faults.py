"""Nova's (and Cinder's) shape of a refusal: `{"<fault>": {"code", "message"}}`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from armillary.base.errors import ArmillaryError, Invalid, Unauthorized
from armillary.cloud.api.auth import AuthenticationRequired
from armillary.cloud.api.shared import no_such_page, spoken

log = logging.getLogger(__name__)

_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def fault(status: int, message: str) -> Response:
    """One fault."""
    return JSONResponse({_NAMES.get(status, "computeFault"): {"code": status, "message": message}}, status)


def speak_nova(app: FastAPI) -> None:
    """Let an application answer refusals as Nova does."""

    async def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, ArmillaryError)
        if isinstance(error, Unauthorized):
            return AuthenticationRequired(identity_url=app.state.auth_url).response()
        return fault(error.status, spoken(error.message, error.remedy))

    async def invalid(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return fault(400, describe(error.errors()[0]))

    async def no_route(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code in {404, 405}:
            return no_such_page()
        return fault(error.status_code, str(error.detail))

    async def broken(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return fault(
            500, f"Unexpected API Error. The server's log has more under {request.state.request_id}."
        )

    app.add_exception_handler(ArmillaryError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, no_route)
    app.add_exception_handler(Exception, broken)


def only(body: BaseModel, name: str, later: Mapping[str, int], version: int) -> None:
    """Refuse what a body says too early: properties, each with the microversion that brought it.

    Raises:
        Invalid: in Nova's words.
    """
    for field, needed in later.items():
        if field in body.model_fields_set and version < needed:
            value = str(body.model_dump(exclude_unset=True))[:255]
            raise Invalid(
                f"Invalid input for field/attribute {name}. Value: {value}. Additional properties are not allowed "
                f"('{field}' was unexpected)",
                code="property_of_later_version",
            )


def describe(problem: Any) -> str:
    """A validation problem in Nova's words."""
    if problem["type"] == "json_invalid":
        return "Malformed request body"
    path = [str(part) for part in problem["loc"] if part != "body"]
    value = problem.get("input")
    if path[-1:] == ["[key]"]:
        path = path[:-2]  # the key is the value that does not do
    if not path:
        return f"{value} is not of type 'object'"  # none at all, or something else
    if problem["type"] == "missing":
        said, field = f"'{path[-1]}' is a required property", path[-2] if len(path) > 1 else None
    elif problem["type"] == "extra_forbidden":
        said = f"Additional properties are not allowed ('{path[-1]}' was unexpected)"
        field, value = path[-2] if len(path) > 1 else None, {path[-1]: value}
    else:
        said, field = _said(problem), path[-1]
    if field is None:
        return said
    return f"Invalid input for field/attribute {field}. Value: {str(value)[:255]}. {said}"


_TYPES = {
    "string_type": "string",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
    "list_type": "array",
    "bool_type": "boolean",
    "int_type": "integer",
}


def _said(problem: Any) -> str:
    """What a schema of Nova's says where pydantic says it in other words."""
    value, facts = repr(problem.get("input"))[:255], problem.get("ctx", {})
    match problem["type"]:
        case kind if kind in _TYPES:
            return f"{value} is not of type '{_TYPES[kind]}'"
        case "string_too_short" | "too_short":
            return f"{value} is too short"
        case "string_too_long" | "too_long":
            return f"{value} is too long"
        case "greater_than_equal":
            return f"{value} is less than the minimum of {facts['ge']}"
        case "less_than_equal":
            return f"{value} is greater than the maximum of {facts['le']}"
        case "int_parsing":
            return f"{value} does not match '^-?[0-9]+$'"
        case "string_pattern_mismatch":
            return f"{value} does not match '{facts['pattern']}'"
        case "literal_error" | "enum":
            return f"{value} is not one of [{str(facts['expected']).replace(' or ', ', ')}]"
        case "value_error":
            return str(facts["error"])
        case _:
            return problem["msg"]
