"""Bodies that clients send to Identity."""

from __future__ import annotations

import json
from typing import Any

BASE = "http://cloud:9101"
V3 = "/identity/v3"
PASSWORD = "correct horse battery"
DEFAULT = {"id": "default"}
JSON = {"Content-Type": "application/json"}


def in_ascii(body: Any) -> str:
    """Write JSON that can carry half surrogates, which the client would refuse to send."""
    return json.dumps(body)


def an_auth(user: str = "ada", password: str = PASSWORD, *, scope: Any = None) -> dict[str, Any]:
    """Build the body of a sign-in with a password."""
    who = {"name": user, "domain": DEFAULT, "password": password}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": who}}}
    return {"auth": auth | ({"scope": scope} if scope is not None else {})}


def in_project(name: str = "m51") -> dict[str, Any]:
    """Build a scope."""
    return {"project": {"name": name, "domain": {"name": "Default"}}}


def by_credential(credential: dict[str, Any], **extra: Any) -> dict[str, Any]:
    """Build the body of a sign-in with an application credential."""
    proof = {"id": credential["id"], "secret": credential["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": proof}
    return {"auth": {"identity": identity} | extra}
