"""Bytes that come in: a request's body into the spool, without holding the event loop."""

from __future__ import annotations

from contextlib import AbstractContextManager

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from armillary.base.errors import Invalid
from armillary.batch.ports import Blob, BlobWriter

_STEP = 2**20


async def take_body(
    request: Request, writing: AbstractContextManager[BlobWriter], *, expected: str | None
) -> Blob:
    """Write the request's body as a blob and return it once it is durable.

    Raises PreconditionFailed when its digest is not the expected one, Invalid when the client went away.
    """
    writer = await run_in_threadpool(writing.__enter__)
    try:
        pending = bytearray()
        try:
            async for chunk in request.stream():
                pending += chunk
                if len(pending) >= _STEP:
                    await run_in_threadpool(writer.write, bytes(pending))
                    pending.clear()
        except ClientDisconnect as gone:
            raise Invalid("the upload broke off", code="upload_incomplete") from gone
        if pending:
            await run_in_threadpool(writer.write, bytes(pending))
        return await run_in_threadpool(writer.commit, expected)
    finally:
        await run_in_threadpool(writing.__exit__, None, None, None)
