"""Stands behind the proxies that the operator named: who asks is whom they say, and nobody else is believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware


def behind(proxies: Sequence[str], app: ASGIApp) -> ASGIApp:
    """Return `app` as requests through `proxies` (addresses or networks) find it; without any, as it is."""
    if not proxies:
        return app
    return cast("ASGIApp", ProxyHeadersMiddleware(cast("Any", app), trusted_hosts=list(proxies)))
