"""`/api/v1/provenance/crates/{target}/image`: where a crate's machine image is, and its bytes on their way in."""

# no `from __future__ import annotations` here: FastAPI could not resolve what closes over `who`

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from anyio import from_thread
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid
from armillary.crates.layout import Crate
from armillary.fleet.model import FleetImage
from armillary.provenance.crate_api import Authenticator
from armillary.provenance.disks import Disks
from armillary.provenance.exporting import Exports, Target

_STEP = 1 << 20
Named = Annotated[str | None, Query(max_length=255)]
_BODY = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


class CopyOut(BaseModel):
    """An image on a cloud."""

    cloud: str
    id: str
    name: str


class DiskOut(BaseModel):
    """A crate's image: its digest, its size if the crate came with it, and the clouds that have it."""

    sha512: str
    size: int | None
    there: list[CopyOut]


class BroughtOut(CopyOut):
    """Where the image is now; not `sent`: it was there before."""

    sha512: str
    sent: bool


def disk_router(*, exports: Exports, disks: Disks, authenticator: Authenticator) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1/provenance", tags=["provenance"])
    signed_in = Depends(authenticator.principal_of)

    @routes.get("/crates/{target}/image")
    def image(target: str, who: Annotated[Principal, signed_in], project: Named = None) -> DiskOut:
        """Where the machine image of a crate is."""
        crate = exports.crate(who, Target.parse(target))
        return DiskOut(
            sha512=crate.cluster.document.image.sha512,
            size=crate.image.document.size if crate.image else None,
            there=[CopyOut(**_copy(one)) for one in disks.there(who, crate, project=project)],
        )

    @routes.put("/crates/{target}/image", status_code=201, openapi_extra={"requestBody": _BODY})
    async def bring(
        target: str,
        request: Request,
        who: Annotated[Principal, signed_in],
        project: Named = None,
        cloud: Named = None,
    ) -> BroughtOut:
        """Take the bytes of an imported crate's machine image into a cloud, whole or not at all."""
        crate = await run_in_threadpool(exports.crate, who, Target.parse(target))
        _check_length(request, crate)

        def store() -> BroughtOut:
            done = disks.bring(who, crate, project=project, cloud=cloud, chunks=_chunks(request.stream()))
            return BroughtOut(**_copy(done.image), sha512=str(done.image.sha512), sent=done.sent)

        return await run_in_threadpool(store)

    return routes


def _copy(image: FleetImage) -> dict[str, str]:
    return {"cloud": str(image.cloud), "id": str(image.id), "name": image.name}


def _check_length(request: Request, crate: Crate) -> None:
    declared = request.headers.get("content-length", "")
    if crate.image and declared.isdecimal() and int(declared) != crate.image.document.size:
        raise Invalid(
            f"the image has {crate.image.document.size} bytes, and {declared} are announced",
            code="wrong_length",
            facts={"size": crate.image.document.size, "announced": int(declared)},
            remedy="Send the image of this crate.",
        )


def _chunks(stream: AsyncIterator[bytes]) -> Iterator[bytes]:
    """Yield a request's body in a thread, which waits for the sender: nothing is kept in memory but a mebibyte."""

    async def more() -> bytes:
        pending = bytearray()
        try:
            async for chunk in stream:
                pending += chunk
                if len(pending) >= _STEP:
                    break
        except ClientDisconnect as gone:
            raise Invalid("the upload broke off", code="upload_incomplete") from gone
        return bytes(pending)

    while chunk := from_thread.run(more):
        yield chunk
