"""The names of our cookies, and the one that carries a session."""

from __future__ import annotations

from starlette.requests import HTTPConnection

_NAME = "armillary_session"
_SAFE_SCHEMES = frozenset({"https", "wss"})


def own_cookie(connection: HTTPConnection, name: str) -> str:
    """Return what a cookie is called here: over TLS by a name that browsers take from this very host and nobody else.

    Pages of machines may have names below ours or beside it. Their scripts can set cookies for all of a domain, but none
    that begins with `__Host-` (RFC 6265bis, 4.1.3.2): so nobody is signed in as somebody else without knowing.
    """
    return f"__Host-{name}" if connection.url.scheme in _SAFE_SCHEMES else name


def cookie_of(connection: HTTPConnection, name: str) -> str:
    """Return the value of one of our cookies, empty without one."""
    return connection.cookies.get(own_cookie(connection, name), "")


def session_cookie(connection: HTTPConnection) -> str:
    """Return what the session's cookie is called: see `own_cookie`."""
    return own_cookie(connection, _NAME)


def session_of(connection: HTTPConnection) -> str:
    """Return the secret of the session that a browser shows, empty without one."""
    return cookie_of(connection, _NAME)
