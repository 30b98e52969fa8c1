"""A provider of OpenID Connect: where it sends people, and what it says of who they are.

Source: OpenID Connect Core 1.0, 3.1 (the code flow), with PKCE (RFC 7636).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from armillary.base.clock import Clock
from armillary.base.errors import Unauthorized, Unavailable

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
"""Those with a key that the provider alone has; never `none`, and no shared secrets."""
LEEWAY = 60
"""Seconds that our clocks may differ."""


@dataclass(frozen=True, kw_only=True)
class Journey:
    """A sign-in on its way to the provider and back; its browser keeps it."""

    state: str
    nonce: str
    verifier: str
    to: str
    adds: str
    """the token of the form by which somebody who is signed in has the identity added to the account; empty: it signs in"""

    @classmethod
    def begin(cls, *, to: str, adds: str) -> Journey:
        """Return a new one, with secrets of its own."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state=state, nonce=nonce, verifier=verifier, to=to, adds=adds)


@dataclass(frozen=True, kw_only=True)
class KnownAs:
    """Who the provider says somebody is; name and address are what they are called there, and prove nothing."""

    issuer: str
    subject: str
    full_name: str
    email: str


class Provider:
    """The provider that the operator named."""

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        label: str,
        clock: Clock,
        seconds: float = 15,
    ) -> None:
        self.label = label
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._found: dict[str, Any] = {}

    def address(self, journey: Journey, *, back: str) -> str:
        """Return where to send somebody who signs in.

        Raises:
            Unavailable: the provider does not answer.
        """
        challenge = base64.urlsafe_b64encode(hashlib.sha256(journey.verifier.encode()).digest())
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": back,
            "scope": "openid email profile",
            "state": journey.state,
            "nonce": journey.nonce,
            "code_challenge": challenge.decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        endpoint = str(self._metadata()["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def identity(self, code: str, journey: Journey, *, back: str) -> KnownAs:
        """Trade the code that somebody came back with for who they are.

        Raises:
            Unauthorized: code `not_signed_in_there`: what the provider says is not for us, not now, or not signed.
            Unavailable: the provider does not answer.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": journey.verifier,
        }
        metadata = self._metadata()
        answer = self._ask(str(metadata["token_endpoint"]), form=form)
        try:
            token = jwt.decode(str(answer["id_token"]), self._keys(), algorithms=ALGORITHMS)
            rules = jwt.JWTClaimsRegistry(
                now=int(self._clock.now().timestamp()),
                leeway=LEEWAY,
                iss={"essential": True, "value": self._issuer},
                aud={"essential": True, "value": self._client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": journey.nonce},
            )
            rules.validate(token.claims)
            audience: str | list[str] = token.claims["aud"]
            shared = isinstance(audience, list) and len(audience) > 1
            if shared and token.claims.get("azp") != self._client_id:
                raise ValueError("the token is somebody else's")
        except (JoseError, ValueError, KeyError) as error:
            raise Unauthorized(
                f"What {self.label} says of you cannot be trusted: {str(error)[:200]}.",
                code="not_signed_in_there",
                facts={"provider": self.label},
                remedy="Try again, or sign in with your password.",
            ) from error
        claims = token.claims
        return KnownAs(
            issuer=self._issuer,
            subject=str(claims["sub"])[:255],
            full_name=str(claims.get("name") or "")[:200],
            email=str(claims.get("email") or "")[:254],
        )

    def _metadata(self) -> dict[str, Any]:
        """What the provider says of itself, asked for once."""
        with self._lock:
            if not self._found:
                found = self._ask(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
                if found.get("issuer") != self._issuer:
                    raise self._silent("it names another issuer")
                self._found = found
            return self._found

    def _keys(self) -> KeySet:
        """Its keys, fresh at each sign-in: it may change them at any moment."""
        return KeySet.import_key_set(self._ask(str(self._metadata()["jwks_uri"])))  # pyright: ignore[reportArgumentType]

    def _ask(self, url: str, *, form: dict[str, str] | None = None) -> dict[str, Any]:
        try:
            with httpx2.Client(timeout=self._seconds, follow_redirects=False) as http:
                if form is None:
                    reply = http.get(url)
                else:
                    reply = http.post(url, data=form, auth=(self._client_id, self._client_secret))
            if form is not None and 400 <= reply.status_code < 500:
                raise Unauthorized(
                    f"{self.label} did not take the code.",
                    code="not_signed_in_there",
                    facts={"provider": self.label},
                    remedy="Try again, or sign in with your password.",
                )
            reply.raise_for_status()
            answer: Any = reply.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise self._silent(str(error)) from error
        if not isinstance(answer, dict):
            raise self._silent("no object")
        return answer  # pyright: ignore[reportUnknownVariableType]

    def _silent(self, why: str) -> Unavailable:
        return Unavailable(
            f"{self.label} does not answer as it should: {why[:200]}.",
            code="provider_silent",
            facts={"provider": self.label},
            remedy="Try again in a moment, or sign in with your password.",
        )
