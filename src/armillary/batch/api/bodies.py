"""Bytes that come in: a request's body into the spool, without holding the event loop."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from armillary.base.errors import Invalid
from armillary.batch.api.bounds import refusal
from armillary.batch.ports import Blob, BlobWriter

_STEP = 2**20

S = TypeVar("S", bound=BaseModel)


async def whole_body(request: Request) -> bytes:
    """Return a JSON body. Raises TooLarge before any of it is read."""
    too_large = refusal(request)
    if too_large is not None:
        raise too_large
    try:
        return await request.body()
    except ClientDisconnect as gone:
        raise Invalid("the request broke off", code="upload_incomplete") from gone


def read(body: bytes, shape: type[S]) -> S:
    """Return what a JSON body says. Raises RequestValidationError, as FastAPI does."""
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(found) from error


def body_of(shape: type[BaseModel]) -> dict[str, Any]:
    """Return what the description of the API says of a body that is read here and not by FastAPI."""
    # with a name of its own, its `#/$defs` are looked for in it and not in the document around it
    schema = {"$id": f"urn:armillary:{shape.__name__}", **shape.model_json_schema()}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


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
