"""Keystone's refusals, and the headers of all its replies."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message

from armillary.accounts.model import Principal, Role
from armillary.base.errors import ArmillaryError, Forbidden, Invalid, TooLarge, Unauthorized
from armillary.base.ids import new_uuid
from armillary.cloud.api.auth import UNAUTHENTICATED

MOST_BYTES = 114_688
"""Keystone's own `max_request_body_size`."""

_NOT_JSON = (
    "Expecting to find valid JSON in request body. The server could not comply with the request since it is "
    "either malformed or otherwise incorrect. The client is assumed to be in error."
)


class KeystoneJSON(JSONResponse):
    """JSON in ASCII, which can quote whatever a client sent."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of `content`."""
        return json.dumps(content, ensure_ascii=True).encode()


class Missing(Invalid):
    """A property that Keystone's schema requires is not there, or of another type."""

    def __init__(self, name: str, problem: str = "is a required property") -> None:
        super().__init__(f"'{name}' {problem}")


def fault(error: ArmillaryError, identity_url: str) -> Response:
    """Return a refusal in Keystone's shape. A 401 tells nobody which part of a sign-in was wrong."""
    message, headers = error.message, dict[str, str]()
    if isinstance(error, Unauthorized):
        message, headers = UNAUTHENTICATED, {"WWW-Authenticate": f'Keystone uri="{identity_url}"'}
        if "retry_after" in error.facts:
            message = f"{error.message} {error.remedy}"
            headers["Retry-After"] = str(error.facts["retry_after"])
    elif error.remedy:
        message = f"{message} {error.remedy}"
    title = HTTPStatus(error.status).phrase
    body = {"error": {"code": error.status, "message": message, "title": title}}
    return KeystoneJSON(body, status_code=error.status, headers=headers)


def need_reader(principal: Principal, action: str) -> None:
    """Let pass who may read all of Identity: administrators, and readers of the system or of the domain."""
    scoped = principal.token is not None and principal.token.cloud_scope is not None
    if not (principal.is_cloud_admin or (scoped and Role.READER in principal.roles)):
        raise denied(action)


def denied(action: str) -> Forbidden:
    """Return the refusal for an action, such as `identity:list_projects`."""
    return Forbidden(f"You are not authorized to perform the requested action: {action}.")


def route_class(identity_url: str) -> type[APIRoute]:
    """Return a route that bounds bodies, renders refusals as Keystone does, and numbers its replies."""

    class KeystoneRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def keystone(request: Request) -> Response:
                try:
                    response = await handle(Request(request.scope, _bounded(request)))
                except ArmillaryError as error:
                    response = fault(error, identity_url)
                except (RequestValidationError, HTTPException) as error:
                    cause = error.__cause__
                    response = fault(
                        cause if isinstance(cause, TooLarge) else Invalid(_NOT_JSON), identity_url
                    )
                response.headers["x-openstack-request-id"] = f"req-{new_uuid()}"
                response.headers["Vary"] = "X-Auth-Token"
                return response

            return keystone

    return KeystoneRoute


def _bounded(request: Request) -> Callable[[], Coroutine[Any, Any, Message]]:
    seen = 0

    async def receive() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > MOST_BYTES:
            raise TooLarge("Request is too large.")
        return message

    return receive
