"""What keeps other sites out: the token against forged requests, and the headers of every answer."""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from armillary.accounts.cookies import session_of
from armillary.base.errors import Forbidden, TooLarge
from armillary.base.units import format_size

NONCE_COOKIE = "armillary_csrf"
FORM_FIELD = "csrf"
_TOKEN_BYTES = 16

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


def csrf_token(nonce: str, session: str) -> str:
    """Return the token that a form carries.

    It is bound to the visitor's nonce cookie, which other sites can neither read nor guess, and to the session,
    so that a nonce planted by a neighbouring site is of no use. It looks different on each page: pages are compressed,
    and from their lengths nothing may be guessed that stays the same (BREACH).
    """
    mask = secrets.token_bytes(_TOKEN_BYTES)
    return (mask + _masked(mask, _proof(nonce, session))).hex()


def _proof(nonce: str, session: str) -> bytes:
    return hmac.digest(nonce.encode(), session.encode(), "sha256")[:_TOKEN_BYTES]


def _masked(mask: bytes, proof: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(mask, proof, strict=True))


def is_csrf_token(token: object, nonce: str, session: str) -> bool:
    """Whether a form of ours carried this."""
    try:
        given = bytes.fromhex(token) if isinstance(token, str) else b""
    except ValueError:
        return False
    if not nonce or len(given) != 2 * _TOKEN_BYTES:
        return False
    mask, masked = given[:_TOKEN_BYTES], given[_TOKEN_BYTES:]
    return hmac.compare_digest(_masked(mask, masked), _proof(nonce, session))


def check_csrf(request: Request, token: object) -> None:
    """Refuse a request that one of our own pages did not make.

    Raises:
        Forbidden: code `forged_request`.
    """
    nonce = request.cookies.get(NONCE_COOKIE, "")
    origin = request.headers.get("origin")
    foreign = bool(origin) and urlsplit(str(origin)).netloc != request.headers.get("host", "")
    if foreign or not is_csrf_token(token, nonce, session_of(request)):
        raise Forbidden(
            "This form is too old, or it did not come from this portal.",
            code="forged_request",
            remedy="Go back, reload the page, and send the form again.",
        )


def bounded(request: Request, *, most: int) -> Request:
    """Return the request with a body of which no more than `most` bytes are taken.

    Raises:
        TooLarge: it announces more. Reading it raises the same when more comes.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > most:
        raise _too_large(most)
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise _too_large(most)
        return message

    return Request(request.scope, counted)


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"A form may have {format_size(most)} here.",
        code="form_too_large",
        facts={"maximum": most},
        remedy="Sign in first, and send large files with vcp.",
    )


class SecurityHeaders:
    """Puts the headers on every answer of the portal; one that an answer has set itself stays."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if not str(scope.get("path", "")).startswith("/static/"):
                    headers.setdefault("cache-control", "no-store")
                    # pages of machines are of the same site where their names are below ours, and get our cookies sent
                    headers.setdefault("cross-origin-resource-policy", "same-origin")
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
