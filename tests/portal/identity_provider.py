"""A small provider of OpenID Connect: discovery, keys, the code flow with PKCE, signed identity tokens."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT, SECRET = "armillary", "a secret of the client"


@dataclass
class IdentityProvider:
    """Whoever comes is signed in as `claims`, at once. `spoil` changes a token before it is signed."""

    issuer: str
    claims: dict[str, Any] = field(
        default_factory=lambda: {"sub": "1815", "name": "Ada", "email": "ada@id.example"}
    )
    spoil: dict[str, Any] = field(default_factory=dict[str, Any])
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    shown: RSAKey | None = None
    """The key that is told; the one that signs, if None."""
    silent: bool = False
    codes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }

    def keys(self) -> dict[str, Any]:
        return dict(KeySet([self.shown or self.key]).as_dict(private=False))

    def authorize(self, query: dict[str, str]) -> str:
        """Where somebody who signs in is sent back to."""
        assert query["client_id"] == CLIENT
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = secrets.token_urlsafe()
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def trade(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """Tokens for a code; None if it is not good."""
        known = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self.codes.pop(form.get("code", ""), None)
        if (
            asked is None
            or authorization != f"Basic {known}"
            or form["redirect_uri"] != asked["redirect_uri"]
        ):
            return None
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]:
            return None
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": asked["nonce"]}
        token = jwt.encode({"alg": "RS256", "kid": "one"}, {**claims, **self.claims, **self.spoil}, self.key)
        return {"access_token": secrets.token_urlsafe(), "token_type": "Bearer", "id_token": token}


@contextmanager
def running_provider() -> Generator[IdentityProvider]:
    """Run one until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            match address.path:
                case _ if provider.silent:
                    self._answer({"error": "busy"}, 503)
                case "/.well-known/openid-configuration":
                    self._answer(provider.metadata())
                case "/keys":
                    self._answer(provider.keys())
                case "/authorize":
                    self.send_response(302)
                    self.send_header("location", provider.authorize(query))
                    self.end_headers()
                case _:
                    self._answer({"error": "not_found"}, 404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            tokens = provider.trade(form, self.headers.get("authorization", ""))
            self._answer(tokens or {"error": "invalid_grant"}, 200 if tokens else 400)

        def _answer(self, value: dict[str, Any], status: int = 200) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = IdentityProvider(issuer=f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
