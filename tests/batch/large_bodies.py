"""Requests that announce more than a stranger may send, with a note of whether anybody asked for it."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from typing import Any

from anyio.from_thread import BlockingPortal

LARGE = 2**21


def post(portal: BlockingPortal, app: Any, path: str, size: int, key: str) -> tuple[int, str, bool]:
    """Announce a body of so many octets; returns the status, the error's code, and whether it was asked for."""
    asked = False
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        nonlocal asked
        asked = True
        return {"type": "http.request", "body": b"{" + b" " * (size - 1), "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-length", str(size).encode())]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    portal.call(app, scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])["error"]["code"], asked
