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
    if not path:
        return "Malformed request body"  # none at all, or no object
    if problem["type"] == "missing":
        if len(path) == 1:
            return f"'{path[0]}' is a required property"
        value = problem.get("input")
        return f"Invalid input for field/attribute {path[-2]}. Value: {value}. '{path[-1]}' is a required property"
    if problem["type"] == "extra_forbidden":
        field = path[-2] if len(path) > 1 else "body"
        return (
            f"Invalid input for field/attribute {field}. Additional properties are not allowed ('{path[-1]}' was "
            "unexpected)"
        )
    value = str(problem.get("input"))[:255]
    return f"Invalid input for field/attribute {'/'.join(path)}. Value: {value}. {problem['msg']}"
