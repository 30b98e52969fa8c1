"""`/<service>/uploads/…`: resumable uploads by tus 1.0.

`POST /<service>/uploads/<path>` begins one (the path of the new file, or that of a container when the metadata have a
`filename`); what is there under the address in its answer, `/<service>/uploads/<id>`, is for HEAD, PATCH and
DELETE. Extensions: creation, creation-with-upload, expiration, checksum, termination.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from armillary.base.errors import ArmillaryError, Invalid, PreconditionFailed, TooLarge
from armillary.vospace.api import headers
from armillary.vospace.api.context import Context, Endpoint, base_url, fault, path_after, raw_after
from armillary.vospace.api.receiving import receive
from armillary.vospace.paths import VOSPath
from armillary.vospace.service.access import Who
from armillary.vospace.service.pieces import Asked, Progress
from armillary.vospace.service.resumable import ResumableUploads
from armillary.vospace.upload_model import ResumableUpload

VERSION = "1.0.0"
MAX_SIZE = 1 << 50
BODY = "application/offset+octet-stream"
METHODS = ("OPTIONS", "POST", "HEAD", "PATCH", "DELETE")
_MAX_METADATA = 8192


def uploads(context: Context, resumable: ResumableUploads, kind: str) -> Endpoint:
    """Return the endpoint of one service, for the collection and for its members."""
    prefix = f"/{kind}/uploads"
    door = _Door(context, resumable, prefix)
    verbs = {"POST": door.create, "HEAD": door.tell, "PATCH": door.append, "DELETE": door.terminate}

    async def endpoint(request: Request) -> Response:
        try:
            method = request.headers.get("x-http-method-override", request.method).upper()
            if method == "OPTIONS":
                return Response(status_code=204, headers=_about(), media_type=None)
            if request.headers.get("tus-resumable") != VERSION:
                raise PreconditionFailed(
                    "This version of tus is not spoken here.",
                    code="precondition_failed",
                    facts={"version": VERSION},
                    remedy=f"Send the header Tus-Resumable: {VERSION}.",
                )
            if method not in verbs:
                raise Invalid(
                    "There is no such method.", code="invalid_argument", remedy=f"Use {', '.join(verbs)}."
                )
            answer = await verbs[method](request)
        except ArmillaryError as error:
            answer = fault(error)
            if error.code == "precondition_failed":
                answer.headers["Tus-Version"] = VERSION
        except ClientDisconnect:
            answer = Response(status_code=400)  # nobody is there to read it
        answer.headers["Tus-Resumable"] = VERSION
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return endpoint


class _Door:
    """What can be done at one address."""

    def __init__(self, context: Context, resumable: ResumableUploads, prefix: str) -> None:
        self._context = context
        self._resumable = resumable
        self._prefix = prefix

    async def create(self, request: Request) -> Response:
        """Begin an upload, perhaps with its first bytes."""
        length = headers.length(request.headers, "upload-length")
        if length is None:
            raise Invalid(
                "Upload-Length is missing.",
                code="invalid_argument",
                facts={"field": "upload-length"},
                remedy="Say how long the file is.",
            )
        if length > MAX_SIZE:
            raise TooLarge("The file is too large.", facts={"largest": MAX_SIZE}, remedy="Split it.")
        metadata = _metadata(request.headers.get("upload-metadata", ""))
        checksums = _checksums(request, metadata)
        path = path_after(request, self._prefix)

        def begin() -> tuple[Who, ResumableUpload]:
            who = self._context.find_who(request)
            place = self._place(who, path, metadata)
            upload = self._resumable.create(
                who,
                place,
                length=length,
                md5=checksums.md5,
                sha256=checksums.sha256,
                content_type=metadata.get("filetype", "")[:200] or headers.guessed_type(place),
                conditions=headers.conditions(request.headers),
                notes=request.headers.get("upload-metadata", ""),
            )
            return who, upload

        who, upload = await run_in_threadpool(begin)
        progress = Progress(upload=upload, offset=length if upload.is_over else 0)
        if request.headers.get("content-type") == BODY and length:
            progress = await self._receive(request, who, upload.id, 0)
        shown = {
            "Location": f"{base_url(request)}{self._prefix}/{upload.id}",
            "Upload-Offset": str(progress.offset),
            **_until(progress.upload),
        }
        return Response(status_code=201, headers=shown)

    async def tell(self, request: Request) -> Response:
        """Say how far an upload has come."""
        upload_id = self._id(request)
        progress = await run_in_threadpool(
            lambda: self._resumable.progress(self._context.find_who(request), upload_id, take_over=True)
        )
        upload = progress.upload
        shown = {
            "Upload-Offset": str(progress.offset),
            "Upload-Length": str(upload.length),
            **_until(upload),
        }
        if upload.notes:
            shown["Upload-Metadata"] = upload.notes
        return Response(status_code=200, headers=shown)

    async def append(self, request: Request) -> Response:
        """Take the next bytes."""
        if request.headers.get("content-type", "").split(";")[0].strip() != BODY:
            answer = fault(Invalid(f"The type is not {BODY}.", code="invalid_argument", remedy="Say so."))
            answer.status_code = 415
            return answer
        offset = headers.length(request.headers, "upload-offset")
        if offset is None:
            raise Invalid(
                "Upload-Offset is missing.", code="invalid_argument", remedy="Ask for it with HEAD."
            )
        who = await self._context.who(request)
        progress = await self._receive(request, who, self._id(request), offset)
        shown = {"Upload-Offset": str(progress.offset), **_until(progress.upload)}
        if progress.upload.is_over:
            shown["Digest"] = headers.digest(progress.upload.outcome)
        return Response(status_code=204, headers=shown)

    async def terminate(self, request: Request) -> Response:
        """Forget an upload."""
        upload_id = self._id(request)
        await run_in_threadpool(lambda: self._resumable.abandon(self._context.find_who(request), upload_id))
        return Response(status_code=204)

    async def _receive(self, request: Request, who: Who, upload_id: str, offset: int) -> Progress:
        said = request.headers.get("upload-checksum")
        algorithm, checksum = headers.one_checksum(said) if said else ("", "")
        asked = Asked(
            offset=offset, length=headers.length(request.headers), algorithm=algorithm, checksum=checksum
        )
        piece = await run_in_threadpool(self._resumable.piece, who, upload_id, asked)
        try:
            await receive(request, piece.write)
            return await run_in_threadpool(piece.end)
        finally:
            await run_in_threadpool(piece.cut)

    def _place(self, who: Who, path: VOSPath, metadata: Mapping[str, str]) -> VOSPath:
        """Return the path of the new file: the address, or a name in the container that it leads to."""
        name = metadata.get("filename", "")
        if not name or path.name == name:
            return path
        node = self._context.service.node(who, path)
        return path / name if node.is_container else path

    def _id(self, request: Request) -> str:
        return raw_after(request, self._prefix).strip(b"/").decode("latin-1")


def _about() -> dict[str, str]:
    return {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": "creation,creation-with-upload,expiration,checksum,termination",
        "Tus-Max-Size": str(MAX_SIZE),
        "Tus-Checksum-Algorithm": "sha1,sha256,md5",
    }


def _until(upload: ResumableUpload) -> dict[str, str]:
    """Say until when an upload can be resumed; nothing once it is over."""
    return {} if upload.is_over else {"Upload-Expires": _http_date(upload.expires_at)}


def _http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def _checksums(request: Request, metadata: Mapping[str, str]) -> headers.Checksums:
    """Return what the whole file must add up to: headers, or `md5` and `sha256` in the metadata."""
    said = headers.checksums(request.headers)
    return headers.Checksums(
        md5=said.md5 or headers.hexadecimal(metadata.get("md5", ""), 16),
        sha256=said.sha256 or headers.hexadecimal(metadata.get("sha256", ""), 32),
    )


def _metadata(text: str) -> dict[str, str]:
    """Read `Upload-Metadata`: names and values in Base64, by commas.

    Raises:
        Invalid: it is too long, or cannot be read.
    """
    found: dict[str, str] = {}
    try:
        if len(text) > _MAX_METADATA:
            raise ValueError
        for pair in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = pair.partition(" ")
            if name in found:
                raise ValueError
            found[name] = base64.b64decode(value, validate=True).decode()
    except (ValueError, binascii.Error) as error:
        raise Invalid(
            "Upload-Metadata cannot be read.",
            code="invalid_argument",
            facts={"field": "upload-metadata", "longest": _MAX_METADATA},
            remedy="Send each name once, a blank, its value in Base64, and a comma between them.",
        ) from error
    return found
