"""Takes the place of `jupyter-lab` in a machine: serves on the socket that it is given, and tells what it was asked.

python notebooks_in_process.py --ServerApp.sock=PATH …
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import uvicorn


def answer(scope: Any, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    headers = [(name.decode(), value.decode()) for name, value in scope["headers"]]
    told = {
        "method": scope["method"],
        "target": scope["raw_path"].decode() + "?" + scope["query_string"].decode(),
        "headers": headers,
        "body": body.decode(),
    }
    said = [(b"content-type", b"application/json")]
    if scope["path"] == "/hostile":
        said += [
            (b"set-cookie", b"armillary_inside=planted; Path=/"),
            (b"set-cookie", b"wide=1; Domain=localhost"),
            (b"set-cookie", b"own=1; Path=/"),
            (b"access-control-allow-origin", b"*"),
            (b"strict-transport-security", b"max-age=99999999"),
            (b"clear-site-data", b'"cookies"'),
            (b"x-frame-options", b"ALLOWALL"),
        ]
    if scope["path"] == "/moved":
        return 302, [(b"location", b"http://localhost/lab/tree?a=b")], b""
    if scope["path"] == "/nowhere":
        return 302, [(b"location", b"http://[")], b""
    return 200, said, json.dumps(told).encode()


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        if scope["path"] == "/led-away":
            elsewhere = [(b"location", b"ws://127.0.0.1:1/")]
            await send({"type": "websocket.http.response.start", "status": 302, "headers": elsewhere})
            await send({"type": "websocket.http.response.body", "body": b""})
            return
        offered = scope["subprotocols"]
        await send({"type": "websocket.accept", "subprotocol": offered[0] if offered else None})
        headers = dict(scope["headers"])
        await send({"type": "websocket.send", "text": headers.get(b"cookie", b"").decode()})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
        return
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    status, headers, said = answer(scope, body)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": said})
    if scope["path"] == "/end":
        server.should_exit = True


path = next(word.partition("=")[2] for word in sys.argv if word.startswith("--ServerApp.sock="))
server = uvicorn.Server(uvicorn.Config(app, uds=path, lifespan="off", log_config=None))
asyncio.run(server.serve())
