"""Bytes on their way in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

_BLOCK = 1 << 20


class Pieces(Protocol):
    """What the server may have in `scope["state"]["pieces"]` for those who want a large body without copies of it.

    When it is `wanted`, most of the bytes come by `take` after each message, which may be empty itself.
    """

    wanted: bool

    def take(self) -> list[bytes]:
        """Return the bytes that came."""
        ...


async def receive(request: Request, write: Callable[[bytes], None]) -> None:
    """Hand the body to `write`, in blocks of about a mebibyte and in a thread: the next block comes in meanwhile.

    When this returns or raises, no `write` is under way any more.

    Raises:
        ClientDisconnect: the body ended too early; all that came was written.
    """
    under_way: asyncio.Future[None] | None = None
    try:
        async for block in _blocks(request):
            if under_way is not None:
                await under_way
            under_way = asyncio.ensure_future(run_in_threadpool(_write, write, block))
    finally:
        if under_way is not None:
            await under_way


def _write(write: Callable[[bytes], None], block: list[bytes]) -> None:
    write(b"".join(block))


async def _blocks(request: Request) -> AsyncGenerator[list[bytes]]:
    """Yield the body in lists of bytes of a mebibyte or more each, but for the last."""
    pieces: Pieces | None = request.scope.get("state", {}).get("pieces")
    if pieces is not None:
        pieces.wanted = True
    block: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await request.receive()
        gone = message["type"] == "http.disconnect"
        came = [] if gone else [message.get("body", b"")]
        if pieces is not None:
            came += pieces.take()
        block += came
        size += sum(map(len, came))
        more = not gone and message.get("more_body", False)
        if size and (size >= _BLOCK or not more):
            yield block
            block, size = [], 0
        if gone:
            raise ClientDisconnect
