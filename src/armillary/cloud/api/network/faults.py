"""Neutron's shape of a refusal: `{"NeutronError": {"type", "message", "detail"}}`."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from armillary.base.errors import ArmillaryError, Unauthorized
from armillary.cloud.api.auth import AuthenticationRequired
from armillary.cloud.api.shared import spoken

log = logging.getLogger(__name__)

_TYPES = {
    "invalid": "HTTPBadRequest",
    "not_found": "HTTPNotFound",
    "http_bad_request": "HTTPBadRequest",
    "http_forbidden": "HTTPForbidden",
    "floating_ip_not_found": "FloatingIPNotFound",
    "floating_ip_port_already_associated": "FloatingIPPortAlreadyAssociated",
    "router_interface_in_use_by_floating_ip": "RouterInterfaceInUseByFloatingIP",
    "invalid_cidr": "InvalidCIDR",
    "port_security_and_ip_required_for_security_groups": "PortSecurityAndIPRequiredForSecurityGroups",
    "allowed_address_pairs_missing_ip": "AllowedAddressPairsMissingIP",
    "illegal_subnet_pool_ip_version_association_to_address_scope": (
        "IllegalSubnetPoolIpVersionAssociationToAddressScope"
    ),
}
"""Neutron's names of refusals that are not our codes in camel case."""


def neutron_error(status: int, kind: str, message: str) -> Response:
    """One refusal."""
    return JSONResponse({"NeutronError": {"type": kind, "message": message, "detail": ""}}, status)


def _type_of(code: str) -> str:
    return _TYPES.get(code) or "".join(word.capitalize() for word in code.split("_"))


def speak_neutron(app: FastAPI) -> None:
    """Let an application answer refusals as Neutron does."""

    async def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, ArmillaryError)
        if isinstance(error, Unauthorized):
            return AuthenticationRequired(identity_url=app.state.auth_url).response()
        return neutron_error(error.status, _type_of(error.code), spoken(error.message, error.remedy))

    async def invalid(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return neutron_error(400, "HTTPBadRequest", _describe(error.errors()[0]))

    async def no_route(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code in {404, 405}:
            return neutron_error(404, "HTTPNotFound", "The resource could not be found.")
        return neutron_error(error.status_code, "HTTPError", str(error.detail))

    async def broken(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        message = f"Request Failed: internal server error. The server's log has more under {request.state.request_id}."
        return neutron_error(500, "HTTPInternalServerError", message)

    app.add_exception_handler(ArmillaryError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, no_route)
    app.add_exception_handler(Exception, broken)


def _describe(problem: Any) -> str:
    path = [str(part) for part in problem["loc"] if part != "body"]
    match problem["type"]:
        case "json_invalid":
            return "The server could not comply with the request since it is either malformed or otherwise incorrect."
        case "missing" if len(path) > 1:
            return f"Failed to parse request. Required attribute '{path[-1]}' not specified"
        case "missing":
            return f"Unable to find '{path[-1] if path else 'body'}' in request body"
        case "extra_forbidden":
            return f"Unrecognized attribute(s) '{path[-1]}'"
        case _:
            return f"Invalid input for {path[-1] if path else 'body'}. Reason: {problem['msg']}."
