"""`/<service>/files/…`: the bytes.

`/files/<path>` is for who is signed in (and for what is public);
`/files/grant:<slip>/<name>` is pre-authorised.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from urllib.parse import quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from armillary.base.errors import Invalid, NotFound
from armillary.vospace.api.context import Context, Endpoint, base_url, path_after, raw_after
from armillary.vospace.model import Node
from armillary.vospace.paths import VOSPath
from armillary.vospace.service.access import Who

GRANT = "grant:"
_BLOCK = 1 << 20
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")
_CUTOUTS = frozenset({"META", "SUB", "CIRCLE", "POLYGON", "POS", "BAND"})


def files(context: Context, kind: str) -> Endpoint:
    """Return the endpoint of one service. Of vault kind it sends readers on to a pre-authorised URL."""
    prefix = f"/{kind}/files"

    async def endpoint(request: Request) -> Response:
        # Looked for before the path is read as one of nodes: a slip may be longer than a name.
        first = unquote(raw_after(request, prefix).lstrip(b"/").partition(b"/")[0])
        if first.startswith(GRANT):
            return await _granted(context, request, first.removeprefix(GRANT))
        path = path_after(request, prefix)
        who = await context.who(request)
        if request.method == "PUT":
            return await _receive(context, request, who, path)
        if kind == "vault" and request.method == "GET":
            return await _send_on(context, request, kind, who, path)
        return await _send(context, request, who, path)

    return endpoint


def grant_url(home: str, slip: str, path: VOSPath) -> str:
    """Return a pre-authorised URL below that of a service.

    `/files/` in it tells clients of the new generation what it is.
    """
    return f"{home}/files/{GRANT}{slip}/{quote(path.name, safe='')}"


async def _granted(context: Context, request: Request, slip: str) -> Response:
    actions = frozenset({"write" if request.method == "PUT" else "read"})
    if request.method == "HEAD" and context.grants.read(slip, frozenset({"read", "write"})).action == "write":
        # The stock client asks for the bytes that it is about to write. An address for writing tells nothing.
        raise NotFound("There is nothing to read here.", code="node_not_found")
    grant = context.grants.read(slip, actions)
    if request.method == "PUT":
        return await _receive(context, request, grant.asker, grant.path)
    return await _send(context, request, grant.asker, grant.path)


async def _send_on(context: Context, request: Request, kind: str, who: Who, path: VOSPath) -> Response:
    _refuse_cutouts(request)
    node = (await run_in_threadpool(context.service.open_bytes, who, path, head=True)).node
    if node.length == 0:
        return Response(status_code=204)
    slip = context.grants.issue("read", node.path, await run_in_threadpool(context.service.access.asker, who))
    return RedirectResponse(grant_url(f"{base_url(request)}/{kind}", slip, node.path), status_code=303)


async def _send(context: Context, request: Request, who: Who, path: VOSPath) -> Response:
    _refuse_cutouts(request)
    head = request.method == "HEAD"
    opened = await run_in_threadpool(context.service.open_bytes, who, path, head=True)
    node = opened.node
    headers = _headers(node)
    if node.length == 0 and not head:
        return Response(status_code=204, headers=headers)
    start, stop, status = 0, node.length, 200
    if asked := _range(request, node):
        start, stop = asked
        if start >= stop:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{node.length}"})
        status = 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{node.length}"
    if head:
        return Response(status_code=status, headers={**headers, "Content-Length": str(stop - start)})
    opened = await run_in_threadpool(context.service.open_bytes, who, path, start, stop)
    if opened.node.blob != node.blob:  # replaced between the two looks: whole, and with the new one's headers
        opened = await run_in_threadpool(context.service.open_bytes, who, path)
        headers, status = _headers(opened.node), 200
    headers["Content-Length"] = str(opened.stop - opened.start)
    return StreamingResponse(opened.chunks, status_code=status, headers=headers)


async def _receive(context: Context, request: Request, who: Who, path: VOSPath) -> Response:
    length = _length(request)
    if request.headers.get("x-put-txn-op") == "start" and length == 0 and "x-total-length" in request.headers:
        # The stock client asks whether we take a large file in segments. Without a transaction id in the
        # answer it sends the whole in one request.
        return Response(status_code=200)
    upload = await run_in_threadpool(
        context.service.begin_upload,
        who,
        path,
        length=length,
        md5=_md5(request),
        content_type=_content_type(request, path),
    )
    try:
        block = bytearray()
        async for chunk in request.stream():
            block += chunk
            if len(block) >= _BLOCK:
                await run_in_threadpool(upload.write, bytes(block))
                block.clear()
        if block:
            await run_in_threadpool(upload.write, bytes(block))
        node = await run_in_threadpool(upload.commit)
    finally:
        upload.abort()
    return Response(status_code=201, headers={"Digest": _digest(node), "Content-Length": "0"})


def _headers(node: Node) -> dict[str, str]:
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", node.name)
    escaped = quote(node.name, safe="")
    return {
        "Content-Type": node.content_type or "application/octet-stream",
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{escaped}",
        "Accept-Ranges": "bytes",
        "Digest": _digest(node),
        "ETag": f'"{node.md5}"',
        "Last-Modified": node.modified_at.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        # Users' bytes come from the portal's origin: never let a browser run them as a page of ours.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, no-cache",
    }


def _digest(node: Node) -> str:
    return "md5=" + base64.b64encode(bytes.fromhex(node.md5)).decode()


def _range(request: Request, node: Node) -> tuple[int, int] | None:
    """Return the asked range as start and stop; None when there is none, or one that HTTP lets us ignore."""
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    condition = request.headers.get("if-range")
    if not match or (condition is not None and condition != f'"{node.md5}"'):
        return None
    first, last, tail = match.groups()
    if tail is not None:
        return (max(0, node.length - int(tail)), node.length) if int(tail) else (node.length, node.length)
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, node.length) if last else node.length


def _length(request: Request) -> int | None:
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Invalid("Content-Length is not a length.", code="invalid_argument")
    return int(text)


def _md5(request: Request) -> str:
    """Return the MD5 that was sent along, in hexadecimal digits, or an empty string."""
    for part in request.headers.get("digest", "").split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "md5":
            return _hexadecimal(value)
    return _hexadecimal(request.headers.get("content-md5", ""))


def _hexadecimal(text: str) -> str:
    if re.fullmatch(r"[0-9A-Fa-f]{32}", text):
        return text
    try:
        octets = base64.b64decode(text, validate=True)
    except binascii.Error:
        octets = b"?"
    if len(octets) not in {0, 16}:
        raise Invalid(
            "The MD5 cannot be read.",
            code="invalid_argument",
            facts={"field": "digest"},
            remedy="Send md5= and the 16 bytes in Base64.",
        )
    return octets.hex()


def _content_type(request: Request, path: VOSPath) -> str:
    """Return the type of new bytes: what was said, unless it says nothing, else what the name says."""
    said = request.headers.get("content-type", "")
    if len(said) <= 200 and said.split(";")[0] not in {"", "application/octet-stream", "text/xml"}:
        return said
    return mimetypes.guess_type(path.name)[0] or ""


def _refuse_cutouts(request: Request) -> None:
    asked = _CUTOUTS.intersection(name.upper() for name in request.query_params)
    if asked:
        raise Invalid(
            f"{', '.join(sorted(asked))} is not served yet.",
            code="view_not_supported",
            facts={"parameters": sorted(asked)},
            remedy="Fetch the whole file.",
        )
