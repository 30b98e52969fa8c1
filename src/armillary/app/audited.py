"""Writes the audit trail: each request that asks for a change, whoever made it and however it went."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from armillary.accounts.trail import WHO, Trail, gathering

_LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})
_OF_MACHINES = ("/agent/", "/proc", "/api/v1/batch/")
"""What programs say all day. Jobs have event logs of their own."""
_REFUSED = 400
"""A status from which on nothing was changed."""
_WITH_SECRETS = ("/join/", "/reset/", "/s/")
"""What follows is a key, and the trail is no place for keys."""


class Audited:
    """Stands in front of the application. The entry is written before the answer is given."""

    def __init__(self, app: ASGIApp, *, trail: Trail, space: Sequence[str]) -> None:
        """`space` has the prefixes of paths that are asked for all day, as those of VOSpace and of the clouds.

        There as among machines, what has changed a figure or a role is written down, and nothing else.
        """
        self._app = app
        self._trail = trail
        self._left_out = (*_OF_MACHINES, *space)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer (ASGI)."""
        if scope["type"] != "http" or scope["method"] in _LOOKS:
            await self._app(scope, receive, send)
            return
        who: list[str] = []
        client = scope.get("client")
        quiet = scope["path"].startswith(self._left_out)

        with gathering() as said:

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start" and (said or not quiet):
                    await run_in_threadpool(
                        self._trail.note,
                        who=who[0] if who else "",
                        act=scope["method"],
                        target=_without_secrets(scope["path"]),
                        origin=client[0] if client else "",
                        status=message["status"],
                        said="; ".join(said) if message["status"] < _REFUSED else "",
                    )
                await send(message)

            await self._app({**scope, WHO: who}, receive, noting)


def _without_secrets(path: str) -> str:
    return next((f"{prefix}…" for prefix in _WITH_SECRETS if path.startswith(prefix)), path)
