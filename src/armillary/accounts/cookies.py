"""The cookie that carries a session, and the name that it has."""

from __future__ import annotations

from starlette.requests import HTTPConnection

_NAME = "armillary_session"
_SAFE_SCHEMES = frozenset({"https", "wss"})


def session_cookie(connection: HTTPConnection) -> str:
    """Return the name of the cookie: over TLS one that browsers take from this very host and nobody else.

    Pages of machines may have names below ours or beside it. Their scripts can set cookies for all of a domain, but none
    that begins with `__Host-` (RFC 6265bis, 4.1.3.2): so nobody is signed in as somebody else without knowing.
    """
    return f"__Host-{_NAME}" if connection.url.scheme in _SAFE_SCHEMES else _NAME


def session_of(connection: HTTPConnection) -> str:
    """Return the secret of the session that a browser shows, empty without one."""
    return connection.cookies.get(session_cookie(connection), "")
