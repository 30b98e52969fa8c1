"""One shape for every refusal of our own APIs: `{"error": {code, status, message, facts, remedy}}`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from armillary.base.errors import ArmillaryError, Invalid

_JSON_PREFIXES = ("/api/", "/agent/")
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}


class AsciiJSON(JSONResponse):
    """JSON in ASCII: a reply may quote half surrogates that the caller sent, which UTF-8 cannot carry."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of `content`."""
        return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()


def error_response(error: ArmillaryError) -> Response:
    """Return the reply for a refusal, with `WWW-Authenticate` or `Retry-After` where they belong."""
    headers: dict[str, str] = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="Armillary"'
    if "retry_after" in error.facts:
        headers["Retry-After"] = str(error.facts["retry_after"])
    return AsciiJSON(error.as_dict(), status_code=error.status, headers=headers)


def install_error_handlers(app: FastAPI) -> None:
    """Make `app` answer refusals, unreadable requests, unknown routes and our own faults in our shape.

    Pages outside of `/api/` and `/agent/` keep Starlette's answers for unknown routes and faults.
    """

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, ArmillaryError)
        return error_response(error)

    async def unreadable(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return error_response(invalid_request(error.errors()))

    async def no_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if not request.url.path.startswith(_JSON_PREFIXES):
            return await http_exception_handler(request, error)
        body: dict[str, Any] = {
            "code": _CODES.get(error.status_code, "http_error"),
            "status": error.status_code,
            "message": str(error.detail),
            "facts": {},
            "remedy": "",
        }
        return AsciiJSON({"error": body}, status_code=error.status_code, headers=error.headers)

    async def fault(request: Request, error: Exception) -> Response:
        if not request.url.path.startswith(_JSON_PREFIXES):
            return PlainTextResponse("Internal Server Error", status_code=500)
        ours = ArmillaryError("Something went wrong on our side.", remedy="Look into the platform's log.")
        return error_response(ours)

    app.add_exception_handler(ArmillaryError, refused)
    app.add_exception_handler(RequestValidationError, unreadable)
    app.add_exception_handler(HTTPException, no_route)
    app.add_exception_handler(Exception, fault)


def invalid_request(findings: Sequence[Any]) -> Invalid:
    """Return the refusal for what pydantic found: facts have the first `field` and all `errors` by field."""
    errors: dict[str, str] = {}
    for finding in findings:
        place = [str(part) for part in finding["loc"]]
        field = ".".join(place[1:] if place[:1] in (["body"], ["query"], ["path"], ["header"]) else place)
        errors.setdefault(field or "body", str(finding["msg"]))
    field, message = next(iter(errors.items()))
    return Invalid(
        f"{field}: {message}",
        code="invalid_field",
        facts={"field": field, "errors": errors},
        remedy="Correct the field and send the request again.",
    )
