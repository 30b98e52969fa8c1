"""HTCondor's IDTOKENS: JSON web tokens signed with a key that is derived from one of the pool's."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_SALT = b"htcondor"
_USE = b"master jwt"
"""HTCondor derives what it signs tokens with from the key's file so, and other keys for other uses."""


def idtoken(
    key: bytes,
    *,
    key_id: str,
    issuer: str,
    identity: str,
    authz: Sequence[str],
    issued: int,
    lifetime: int,
    token_id: str,
) -> str:
    """Return a token that a daemon with the key in its passwords.d takes.

    Args:
        key: the bytes of the key's file, as `condor_token_create` reads them.
        key_id: the name of that file.
        issuer: the pool's TRUST_DOMAIN.
        identity: whom it stands for, `name@domain`.
        authz: all that it may be used for, such as ADVERTISE_STARTD; none means: whatever the identity may do.
        issued: seconds since 1970.
        lifetime: in seconds.
        token_id: a name of its own, in the daemons' logs.
    """
    # The pool's default key is used twice over, a relic of the days when it was a password.
    master = plain(key) * 2 if key_id == "POOL" else plain(key)
    derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=_SALT, info=_USE).derive(master)
    claims: dict[str, Any] = {
        "exp": issued + lifetime,
        "iat": issued,
        "iss": issuer,
        "jti": token_id,
        "sub": identity,
    }
    if authz:
        claims["scope"] = " ".join(f"condor:/{level}" for level in authz)
    head = _part({"alg": "HS256", "kid": key_id}) + b"." + _part(claims)
    signature = hmac.new(derived, head, hashlib.sha256).digest()
    return (head + b"." + _base64(signature)).decode("ascii")


def plain(file: bytes) -> bytes:
    """Return the key in a key's file: its bytes are kept scrambled, which is no protection."""
    mask = bytes.fromhex("deadbeef")
    return bytes(byte ^ mask[n % 4] for n, byte in enumerate(file))


def _part(value: dict[str, Any]) -> bytes:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
