"""Bytes on their way in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

_BLOCK = 1 << 20


async def receive(request: Request, write: Callable[[bytes], None]) -> None:
    """Hand the body to `write`, in blocks of a mebibyte and in a thread: the next block comes in meanwhile.

    When this returns or raises, no `write` is under way any more.

    Raises:
        ClientDisconnect: the body ended too early; all that came was written.
    """
    block: list[bytes] = []
    size = 0
    under_way: asyncio.Future[None] | None = None
    try:
        async for chunk in request.stream():
            block.append(chunk)
            size += len(chunk)
            if size >= _BLOCK:
                if under_way is not None:
                    await under_way
                under_way = asyncio.ensure_future(run_in_threadpool(write, b"".join(block)))
                block, size = [], 0
    finally:
        if under_way is not None:
            await under_way
        if size:
            await run_in_threadpool(write, b"".join(block))
