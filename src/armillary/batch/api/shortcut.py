"""The calls that an agent makes for each job, past what the framework does for any call."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from armillary.accounts.api.errors import AsciiJSON, error_response, invalid_request
from armillary.base.errors import ArmillaryError, Unauthorized
from armillary.batch.agents import AgentService
from armillary.batch.api.bounds import MAX_JSON, is_large, refusal
from armillary.batch.api.hands import Hands
from armillary.batch.api.wire_agent import ClaimIn, FinishIn, RenewIn
from armillary.batch.api.wire_submit import Wire

_SHAPES: Mapping[str, tuple[type[Wire], int]] = {
    "claim": (ClaimIn, 2**14),
    "finish": (FinishIn, MAX_JSON),
    "renew": (RenewIn, 2**23),
}
"""of each call its body, and how many octets that may have"""


def shortcuts(router: APIRouter, service: AgentService) -> dict[str, ASGIApp]:
    """Return by path what answers as the router's own routes do, several times as fast.

    FastAPI looks for the route among all others, and solves its dependencies anew with each call: that takes longer
    than to end a job and give out the next one.
    """
    found: dict[str, ASGIApp] = {}
    hands = Hands()
    for route in router.routes:
        name = route.path.rsplit("/", 1)[-1] if isinstance(route, APIRoute) else ""
        if isinstance(route, APIRoute) and name in _SHAPES:
            found[route.path] = _Shortcut(route, *_SHAPES[name], service, hands)
    return found


class _Shortcut:
    def __init__(
        self, route: APIRoute, shape: type[Wire], at_most: int, service: AgentService, hands: Hands
    ) -> None:
        self._call = route.endpoint
        self._waits = inspect.iscoroutinefunction(route.endpoint)
        self._shape = shape
        self._at_most = at_most
        self._service = service
        self._hands = hands
        self._session = service.recall if shape is FinishIn else service.session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            answer = await self._answer(request)
        except ClientDisconnect:
            return
        except ValidationError as error:
            answer = error_response(invalid_request(error.errors()))
        except ArmillaryError as error:
            answer = error_response(error)
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        too_large = refusal(request, self._at_most)
        if too_large is not None:
            raise too_large
        key = session_key(request)
        if is_large(request):
            await self._hands.carry(lambda: self._service.session(key))
        body = self._shape.model_validate_json(await request.body())
        if self._waits:
            session = await self._hands.carry(lambda: self._session(key))
            return _json(await self._call(request, body, session))
        return await self._hands.carry(lambda: _json(self._call(body, self._session(key))))


def session_key(request: Request) -> str:
    """Return the session key that a request shows. Raises Unauthorized."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Unauthorized("this needs a session key", code="no_credentials", remedy="Register first.")
    return key.strip()


def _json(answer: Wire) -> Response:
    return AsciiJSON(answer.model_dump(mode="json"))
