"""Large bodies arrive whole and in order, whoever asks for them in pieces."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from armillary.app.tls import server_config
from armillary.vospace.api.receiving import receive

MIB = 1 << 20
BODY = os.urandom(9 * MIB + 13)


class Server(uvicorn.Server):
    """Answers with the MD5 of what came; remembers how large the blocks were, and what came of broken bodies."""

    def __init__(self) -> None:
        self.port = 0
        self.ready = threading.Event()
        self.broke = threading.Event()
        self.kept = 0
        self.blocks: list[int] = []

        async def app(scope: Scope, receive_: Receive, send: Send) -> None:
            await self.answer(scope, receive_, send)

        super().__init__(server_config(app, "127.0.0.1", 0))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def answer(self, scope: Scope, receive_: Receive, send: Send) -> None:
        request = Request(scope, receive_, send)
        if request.url.path == "/refused":
            await PlainTextResponse("no", 403)(scope, receive_, send)
            return
        digest = hashlib.md5()
        self.blocks = []

        def write(block: bytes) -> None:
            digest.update(block)
            self.blocks.append(len(block))

        try:
            await receive(request, write)
        except ClientDisconnect:
            self.kept = sum(self.blocks)
            self.broke.set()
        await PlainTextResponse(digest.hexdigest())(scope, receive_, send)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    sock = socket.create_server(("127.0.0.1", 0))
    server.port = sock.getsockname()[1]
    thread = threading.Thread(target=asyncio.run, args=(server.serve(sockets=[sock]),))
    thread.start()
    assert server.ready.wait(20)
    yield server
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def client(server: Server) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    yield connection
    connection.close()


def put(client: http.client.HTTPConnection, body: bytes, path: str = "/", *, chunked: bool = False) -> bytes:
    parts = (body[start : start + 700_001] for start in range(0, len(body), 700_001))
    headers = {"Transfer-Encoding": "chunked"} if chunked else {}
    client.request("PUT", path, parts if chunked else body, headers, encode_chunked=chunked)
    return client.getresponse().read()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 1, 70_000, MIB, 2 * MIB + 1, len(BODY)])
def test_a_body_arrives_whole(client: http.client.HTTPConnection, size: int, *, chunked: bool) -> None:
    for _ in range(2):  # the second on the same connection
        assert put(client, BODY[:size], chunked=chunked).decode() == hashlib.md5(BODY[:size]).hexdigest()


def test_a_large_body_comes_in_large_blocks(client: http.client.HTTPConnection, server: Server) -> None:
    put(client, BODY)
    assert sum(server.blocks) == len(BODY)
    assert min(server.blocks[:-1]) >= MIB // 2
    assert max(server.blocks) <= 8 * MIB


def test_what_came_of_a_body_that_broke_off_was_handed_over(
    client: http.client.HTTPConnection, server: Server
) -> None:
    client.putrequest("PUT", "/")
    client.putheader("Content-Length", str(len(BODY)))
    client.endheaders()
    client.send(BODY[: 3 * MIB])
    client.close()
    assert server.broke.wait(20)
    assert server.kept == 3 * MIB


def test_a_refused_body_is_not_kept(client: http.client.HTTPConnection) -> None:
    assert put(client, BODY[:1000], "/refused") == b"no"
    assert put(client, b"after it").decode() == hashlib.md5(b"after it").hexdigest()
