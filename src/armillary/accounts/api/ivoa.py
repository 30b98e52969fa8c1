"""What the IVOA's services of people have in common: plain text refusals, small bodies, threads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response

from armillary.accounts.model import Principal
from armillary.base.errors import ArmillaryError, Forbidden, TooLarge, Unauthorized

MOST_BYTES = 1 << 20
Endpoint = Callable[[Request], Awaitable[Response]]
Signed = Callable[[Request, Principal, bytes], Response]
Open = Callable[[Request, bytes], Response]


class SignedIn(Protocol):
    """Answers who asks (`accounts.api.Authenticator`)."""

    def find(self, connection: HTTPConnection, /) -> Principal | None:
        """Return who asks, None for a stranger; raises Unauthorized for a credential that is not good."""
        ...


class Counter:
    """Makes endpoints of plain functions, which run in threads: the records are asked there."""

    def __init__(self, *, authenticator: SignedIn) -> None:
        self._authenticator = authenticator

    def signed(self, handle: Signed, *, scope: str | None = None) -> Endpoint:
        """Return an endpoint for people; a credential that is limited must name `scope`, if there is one."""

        def answer(request: Request, body: bytes) -> Response:
            principal = self._authenticator.find(request)
            if principal is None:
                raise Unauthorized(
                    "This needs you to sign in.",
                    code="no_credentials",
                    remedy="Get a certificate with cadc-get-cert, or send a password or a token.",
                )
            if scope is not None and not principal.allows(scope):
                raise Forbidden(
                    "This credential is limited to other things.",
                    code="limited_credential",
                    facts={"scopes": sorted(principal.scopes)},
                    remedy="Sign in with your password or an unlimited token.",
                )
            return handle(request, principal, body)

        return self.open(answer)

    def open(self, handle: Open) -> Endpoint:
        """Return an endpoint for everybody."""

        async def endpoint(request: Request) -> Response:
            try:
                body = await _small(request)
                return await run_in_threadpool(handle, request, body)
            except ArmillaryError as error:
                return plain_fault(error)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody is there to read it

        return endpoint


def plain_fault(error: ArmillaryError) -> Response:
    """Return a refusal as the stock clients show it: a line of text."""
    headers = {"x-armillary-code": error.code}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="Armillary", charset="UTF-8"'
    if "retry_after" in error.facts:
        headers["Retry-After"] = str(error.facts["retry_after"])
    text = f"{error.message} {error.remedy}".strip()
    return PlainTextResponse(text + "\n", status_code=error.status, headers=headers)


async def _small(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise TooLarge("The document is larger than 1 MiB.", remedy="Send a smaller one.")
    return bytes(body)
