"""Bytes in and out: uploads and downloads, streamed."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid
from armillary.cloud.api.image.faults import page
from armillary.cloud.images.blobs import Arrival
from armillary.cloud.images.model import Declared, Image, Status
from armillary.cloud.images.service import ImageService

_CHUNK = 1 << 20
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


async def receive(
    images: ImageService,
    principal: Principal,
    image_id: str,
    request: Request,
    *,
    into: Status = Status.SAVING,
) -> None:
    """Take an image's bytes from a request's body; see `ImageService.receiving` for `into`.

    Raises:
        ArmillaryError: as `ImageService.receiving` and `complete` say.
        ClientDisconnect: the body ended before its time; the image is queued again.
    """
    declared = declared_by(request)
    with ExitStack() as stack:
        arrival = await run_in_threadpool(
            stack.enter_context, images.receiving(principal, image_id, declared, into=into)
        )
        try:
            await _copy(request, arrival)
            await run_in_threadpool(images.complete, image_id, arrival)
        finally:
            # also when the server stops in the middle: the image must not stay in saving
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(stack.close)


async def _copy(request: Request, arrival: Arrival) -> None:
    waiting = bytearray()
    async for chunk in request.stream():
        waiting += chunk
        if len(waiting) >= _CHUNK:
            await run_in_threadpool(arrival.write, bytes(waiting))
            waiting.clear()
    if waiting:
        await run_in_threadpool(arrival.write, bytes(waiting))


def declared_by(request: Request) -> Declared:
    """Return what the headers say of the body: its length, Content-MD5, and digests after RFC 9530.

    Raises:
        Invalid: one of them cannot be read.
    """
    length = request.headers.get("content-length")
    fields = request.headers.get("repr-digest") or request.headers.get("content-digest") or ""
    digests = dict(re.findall(r"(sha-256|sha-512)=:([A-Za-z0-9+/=]+):", fields))
    md5 = request.headers.get("content-md5")
    return Declared(
        length=int(length) if length and length.isdigit() else None,
        md5=_digest(md5, 16) if md5 else None,
        sha256=_digest(digests["sha-256"], 32) if "sha-256" in digests else None,
        sha512=_digest(digests["sha-512"], 64) if "sha-512" in digests else None,
    )


def _digest(text: str, size: int) -> str:
    """Read a digest that is in base64, as the standards say, or in hexadecimal, as OpenStack has it."""
    if re.fullmatch(rf"[0-9a-fA-F]{{{2 * size}}}", text):
        return text.lower()
    try:
        octets = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Invalid(f"The declared digest {text!r} cannot be read") from error
    if len(octets) != size:
        raise Invalid(f"The declared digest {text!r} has {len(octets)} bytes, not {size}")
    return octets.hex()


def send(image: Image, path: Path, asked: str | None) -> Response:
    """Return an image's bytes, or the range of them that was asked for."""
    file = path.open("rb")  # from here on the image may be deleted: what is open can be read to its end
    size = path.stat().st_size
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
    part = part_of(asked, size) if asked else (0, size)
    if part is None:
        file.close()
        return page(416, f"The range {asked} is not in the image", {"Content-Range": f"bytes */{size}"})
    start, end = part
    headers["Content-Length"] = str(end - start)
    if asked:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    elif image.checksum:
        headers["Content-MD5"] = image.checksum
    return StreamingResponse(_chunks(file, start, end), status_code=206 if asked else 200, headers=headers)


def part_of(text: str, size: int) -> tuple[int, int] | None:
    """Return start and end of a single range after RFC 9110, or None if it is none of these bytes."""
    match = _RANGE.fullmatch(text.strip())
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    return (start, end) if start < end else None


async def _chunks(file: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    try:
        await run_in_threadpool(file.seek, start)
        while start < end:
            chunk = await run_in_threadpool(file.read, min(_CHUNK, end - start))
            if not chunk:
                return
            start += len(chunk)
            yield chunk
    finally:
        file.close()
