"""`/<service>/files/…`: the bytes.

`/files/<path>` is for who is signed in (and for what is public);
`/files/grant:<slip>/<name>` is pre-authorised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from armillary.base.errors import Invalid, NotFound
from armillary.vospace.api import headers
from armillary.vospace.api.context import Context, Endpoint, base_url, path_after, raw_after
from armillary.vospace.api.headers import Span
from armillary.vospace.api.receiving import receive
from armillary.vospace.api.segments import TRANSACTION, is_of_transaction, segments
from armillary.vospace.api.sending import AT_ONCE, BytesResponse, Parts, Streams
from armillary.vospace.api.views import asked_of, send_view_or_refuse, with_query
from armillary.vospace.core.conditions import is_known, require
from armillary.vospace.model import Node
from armillary.vospace.paths import VOSPath
from armillary.vospace.service import Upload
from armillary.vospace.service.access import Who
from armillary.vospace.service.resumable import ResumableUploads

GRANT = "grant:"


def files(context: Context, resumable: ResumableUploads, kind: str) -> Endpoint:
    """Return the endpoint of one service. Of vault kind it sends readers on to a pre-authorised URL."""
    prefix = f"/{kind}/files"
    streams = Streams()

    async def endpoint(request: Request) -> Response:
        # Looked for before the path is read as one of nodes: a slip may be longer than a name.
        first = unquote(raw_after(request, prefix).lstrip(b"/").partition(b"/")[0])
        if first.startswith(GRANT):
            return await _granted(context, resumable, streams, request, first.removeprefix(GRANT))
        path = path_after(request, prefix)

        def find_who() -> Who:
            return context.find_who(request)

        if is_of_transaction(request):
            return await segments(resumable, request, await context.who(request), path)
        if request.method == "PUT":
            return await _receive(context, request, find_who, path)
        if request.method == "POST":
            raise _not_posted()
        if kind == "vault" and request.method == "GET":
            return await run_in_threadpool(_send_on, context, request, kind, path)
        return await _send(context, streams, request, find_who, path)

    return endpoint


def grant_url(home: str, slip: str, path: VOSPath) -> str:
    """Return a pre-authorised URL below that of a service.

    `/files/` in it tells clients of the new generation what it is.
    """
    return f"{home}/files/{GRANT}{slip}/{quote(path.name, safe='')}"


async def _granted(
    context: Context, resumable: ResumableUploads, streams: Streams, request: Request, slip: str
) -> Response:
    if is_of_transaction(request):
        # What was begun in time goes on after the address has expired, until the transaction itself does.
        begun = TRANSACTION in request.headers
        grant = await run_in_threadpool(context.grants.read, slip, frozenset({"write"}), expired=begun)
        return await segments(resumable, request, grant.asker, grant.path)
    writes = request.method in {"PUT", "POST"}
    actions = frozenset({"write"} if writes else {"read", "write"} if request.method == "HEAD" else {"read"})
    grant = await run_in_threadpool(context.grants.read, slip, actions)
    if request.method == "PUT":
        return await _receive(context, request, lambda: grant.asker, grant.path)
    if request.method == "POST":
        raise _not_posted()
    if grant.action == "write":
        # The stock client asks for the bytes that it is about to write. An address for writing tells nothing.
        raise NotFound("There is nothing to read here.", code="node_not_found")
    return await _send(context, streams, request, lambda: grant.asker, grant.path)


def _not_posted() -> Invalid:
    return Invalid(
        "Bytes are put, not posted.",
        code="invalid_argument",
        facts={"field": TRANSACTION},
        remedy="Use PUT, or name the transaction.",
    )


def _send_on(context: Context, request: Request, kind: str, path: VOSPath) -> Response:
    pairs = asked_of(request)
    asker = context.service.access.asker(context.find_who(request))
    node = context.service.open_bytes(asker, path, head=True).node
    slip = context.grants.issue("read", node.path, asker)
    url = grant_url(f"{base_url(request)}/{kind}", slip, node.path)
    return RedirectResponse(with_query(url, pairs), status_code=303)


async def _send(
    context: Context, streams: Streams, request: Request, find_who: Callable[[], Who], path: VOSPath
) -> Response:
    if pairs := asked_of(request):
        return await send_view_or_refuse(context, streams, request, find_who, path, pairs)
    asked = _Asked(context, request.headers, head=request.method == "HEAD")

    def answer() -> Response:
        node, contents = context.service.open_parts(find_who(), path, asked.spans)
        shown = headers.of_node(node)
        if asked.status == 304:
            return Response(status_code=304, headers=headers.version(node))
        if asked.status == 416:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{node.length}"})
        length = sum(stop - start for start, stop in asked.chosen)
        chunks = contents[0] if contents else iter(())
        if len(asked.chosen) > 1:
            parts = Parts(asked.chosen, node.length, shown["Content-Type"])
            length, chunks = parts.length, parts.body(contents)
            shown["Content-Type"] = parts.content_type
        elif asked.status == 206:
            start, stop = asked.chosen[0]
            shown["Content-Range"] = f"bytes {start}-{stop - 1}/{node.length}"
        shown["Content-Length"] = str(node.length if asked.head else length)
        if asked.head or length <= AT_ONCE:
            return Response(b"".join(chunks), status_code=asked.status, headers=shown)
        return BytesResponse(streams, chunks, status=asked.status, headers=shown)

    return await run_in_threadpool(answer)


class _Asked:
    """What of a file is asked for, and which status the answer has; known once its node is."""

    def __init__(self, context: Context, asked: Headers, *, head: bool) -> None:
        self._context = context
        self._asked = asked
        self.head = head
        self.status = 200
        self.chosen: Sequence[Span] = []

    def spans(self, node: Node) -> Sequence[Span]:
        """Return the spans to read (`Files.open_parts`)."""
        self.status, self.chosen = self._choose(node)
        return [] if self.head else self.chosen

    def _choose(self, node: Node) -> tuple[int, Sequence[Span]]:
        conditions = headers.conditions(self._asked)
        require(conditions, node)
        if is_known(conditions, node):
            return 304, []
        whole = [(0, node.length)]
        if self.head:  # only GET has ranges
            return 200, whole
        if node.length == 0:  # 200 and not 204, which the stock vcat takes for an error and tries again
            return 200, []
        ranges = headers.ranges(self._asked, node, self._context.now())
        if ranges is None:
            return 200, whole
        return (206, ranges) if ranges else (416, [])


async def _receive(
    context: Context, request: Request, find_who: Callable[[], Who], path: VOSPath
) -> Response:
    said = request.headers
    length = headers.length(said)

    def begin() -> Upload:
        checksums = headers.checksums(said)
        return context.service.begin_upload(
            find_who(),
            path,
            length=length,
            md5=checksums.md5,
            sha256=checksums.sha256,
            content_type=headers.content_type(said, path),
            conditions=headers.conditions(said),
        )

    if length is not None and length <= AT_ONCE and "expect" not in said:
        body = await request.body()

        def at_once() -> Node:
            upload = begin()
            try:
                upload.write(body)
                return upload.commit()
            finally:
                upload.abort()

        return written(await run_in_threadpool(at_once))
    upload = await run_in_threadpool(begin)
    try:
        await receive(request, upload.write)
        return written(await run_in_threadpool(upload.commit))
    finally:
        await run_in_threadpool(upload.abort)


def written(node: Node) -> Response:
    """Return the answer to bytes that are a file now."""
    shown = {"Digest": headers.digest(node.md5), "Content-Length": "0", **headers.version(node)}
    return Response(status_code=201, headers=shown)
