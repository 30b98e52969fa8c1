"""Files in segments, as the stock client sends those of more than 5 GiB: CADC's transactions of PUTs.

PUT    x-put-txn-op: start, x-total-length: N    answers with x-put-txn-id
PUT    x-put-txn-id: ID                          one segment, the next; answers with the MD5 of all so far
HEAD   x-put-txn-id: ID                          that MD5
POST   x-put-txn-id: ID, x-put-txn-op: revert    takes the last segment back
POST   x-put-txn-id: ID, x-put-txn-op: abort     forgets it all
PUT    x-put-txn-id: ID, x-put-txn-op: commit    the file is there
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from armillary.base.errors import Invalid, NotFound
from armillary.vospace.api import headers
from armillary.vospace.api.receiving import receive
from armillary.vospace.paths import VOSPath
from armillary.vospace.service.access import Who
from armillary.vospace.service.pieces import Asked
from armillary.vospace.service.resumable import ResumableUploads

TRANSACTION = "x-put-txn-id"
OPERATION = "x-put-txn-op"
LARGEST = 256 << 20
"""bytes of a segment: a broken one is sent again whole, and the client's own choice is 2 GiB"""


def is_of_transaction(request: Request) -> bool:
    """Whether a request is about a file in segments."""
    if TRANSACTION in request.headers:
        return True
    # With bytes of its own, `start` is an ordinary upload of one piece: so the client sends files below 5 GiB.
    starts = request.headers.get(OPERATION) == "start" and "x-total-length" in request.headers
    return starts and headers.length(request.headers) in {0, None}


async def segments(resumable: ResumableUploads, request: Request, who: Who, path: VOSPath) -> Response:
    """Answer one request of a transaction, which must be about the node in the address.

    Raises:
        NotFound: there is no such transaction.
        Invalid: the request makes no sense.
        ArmillaryError: as `ResumableUploads`.
    """
    operation = request.headers.get(OPERATION, "")
    transaction = request.headers.get(TRANSACTION)
    if transaction is None:
        return await _start(resumable, request, who, path)
    progress = await run_in_threadpool(resumable.progress, who, transaction)
    if progress.upload.path != path:
        raise NotFound(
            "There is no such upload.",
            code="upload_not_found",
            facts={"upload": transaction[:40]},
            remedy="Begin anew.",
        )
    asked = (request.method, operation)
    status = 200
    if asked == ("PUT", "commit"):
        await run_in_threadpool(resumable.commit, who, transaction)
        status = 201
    elif asked == ("PUT", ""):
        await _take(resumable, request, who, transaction)
        status = 202
    elif asked == ("POST", "revert"):
        await run_in_threadpool(resumable.revert, who, transaction)
    elif asked == ("POST", "abort"):
        await run_in_threadpool(resumable.abandon, who, transaction)
        return Response(status_code=200)
    elif request.method != "HEAD":
        raise Invalid(
            f"A transaction has no {operation or request.method}.",
            code="invalid_argument",
            facts={"field": OPERATION},
            remedy="Use commit, revert or abort.",
        )
    shown = {TRANSACTION: transaction}
    if md5 := await run_in_threadpool(resumable.md5_so_far, who, transaction):
        shown["Digest"] = headers.digest(md5)
    return Response(status_code=status, headers=shown)


async def _start(resumable: ResumableUploads, request: Request, who: Who, path: VOSPath) -> Response:
    length = headers.length(request.headers, "x-total-length")
    assert length is not None, "asked by is_of_transaction"
    checksums = headers.checksums(request.headers)
    upload = await run_in_threadpool(
        lambda: resumable.create(
            who,
            path,
            length=length,
            md5=checksums.md5,
            sha256=checksums.sha256,
            content_type=headers.content_type(request.headers, path),
            conditions=headers.conditions(request.headers),
            in_segments=True,
        )
    )
    shown = {
        TRANSACTION: upload.id,
        "x-put-segment-minbytes": "1",
        "x-put-segment-maxbytes": str(LARGEST),
    }
    return Response(status_code=200, headers=shown)


async def _take(resumable: ResumableUploads, request: Request, who: Who, transaction: str) -> None:
    asked = Asked(offset=None, length=headers.length(request.headers))
    piece = await run_in_threadpool(resumable.piece, who, transaction, asked)
    try:
        await receive(request, piece.write)
        await run_in_threadpool(piece.end)
    finally:
        await run_in_threadpool(piece.cut)
