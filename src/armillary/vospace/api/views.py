"""Other forms of a file, on the URLs of its bytes: cutouts, headers, pictures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from armillary.base.errors import Invalid
from armillary.vospace.api import headers
from armillary.vospace.api.context import Context
from armillary.vospace.api.sending import AT_ONCE, BytesResponse, Streams
from armillary.vospace.core import names
from armillary.vospace.core.conditions import ANY
from armillary.vospace.model import Node
from armillary.vospace.paths import VOSPath
from armillary.vospace.service.access import Who
from armillary.vospace.service.views import Answer, Pairs, Views, tag_of_view
from armillary.vospace.views.overlap import NoOverlapError
from armillary.vospace.views.parameters import NAMES, View, asks_for_view, parse

_TYPES = {
    View.CUTOUT: "application/fits",
    View.HEADER: "text/plain; charset=us-ascii",
    View.PREVIEW: "image/png",
    View.TABLE: "application/json",
}
_SUFFIX = re.compile(r"(\.(fits|fit|fts|fz))+$", re.IGNORECASE)


def asked_of(request: Request) -> Pairs:
    """Return the parameters of a request that ask for another form of a file; nothing when it is for the file.

    Raises:
        Invalid: with code `invalid_argument`.
    """
    pairs = [(name, value) for name, value in request.query_params.multi_items() if name.upper() in NAMES]
    return pairs if asks_for_view(name for name, _ in pairs) and parse(pairs) else []


def with_query(url: str, pairs: Pairs) -> str:
    """Return a URL with parameters."""
    return f"{url}?{urlencode(pairs, quote_via=quote)}" if pairs else url


def parameters_of_view(view: str, parameters: Sequence[tuple[str, str]]) -> Pairs:
    """Return what a view of a transfer and its parameters (named by URIs) ask for.

    Raises:
        Invalid: a parameter is not one of the view's.
    """
    pairs = list(names.FILE_VIEWS.get(view, ()))
    for uri, value in parameters if view in names.FILE_VIEWS else ():
        name = re.split(r"[#/]", uri)[-1].upper()
        if name not in NAMES:
            raise Invalid(
                f"{uri[:200]} is not a parameter of this view.",
                code="view_not_supported",
                facts={"field": "param", "known": sorted(NAMES)},
                remedy="Use the names of SODA, SUB or META, at the end of the parameter's URI.",
            )
        pairs = [
            *(pair for pair in pairs if pair[0] != name or pair not in names.FILE_VIEWS[view]),
            (name, value),
        ]
    parse(pairs)
    return pairs


async def send_view(
    context: Context,
    streams: Streams,
    request: Request,
    find_who: Callable[[], Who],
    path: VOSPath,
    pairs: Pairs,
) -> Response:
    """Answer with a view.

    Raises:
        NoOverlapError: the file has nothing of what was asked for.
        ArmillaryError: it cannot be made, or not for who asks.
    """
    views = offered(context)
    conditions = headers.conditions(request.headers)

    def look() -> tuple[Who, Node]:
        who = find_who()
        return who, context.service.open_bytes(who, path, head=True).node

    who, node = await run_in_threadpool(look)
    shown = _headers(node, pairs)
    known = conditions.none_match or frozenset()
    if tag_of_view(node, pairs) in known or known == ANY:
        return Response(status_code=304, headers={name: shown[name] for name in ("ETag", "Cache-Control")})
    if request.method == "HEAD":
        told = Response(status_code=200, headers=shown)
        del told.headers["content-length"]  # which is not known before it is made, and is not 0
        return told
    viewed = await asyncio.wrap_future(views.start(who, path, pairs))
    shown = {**_headers(viewed.node, pairs), "Content-Length": str(viewed.answer.length)}
    if viewed.answer.length <= AT_ONCE:
        return Response(b"".join(viewed.answer), headers=shown)
    return BytesResponse(streams, _pieces(viewed.answer), status=200, headers=shown)


def offered(context: Context) -> Views:
    """Return who makes views.

    Raises:
        Invalid: with code `view_not_supported`; nobody does here.
    """
    if context.views is None:
        raise Invalid(
            "Cutouts and pictures are not made here.",
            code="view_not_supported",
            remedy="Fetch the whole file.",
        )
    return context.views


def no_overlap() -> Invalid:
    """Return the refusal on URLs of bytes.

    SODA's own resource answers 204; but here the stock client would take that for a file of no bytes, and be
    content.
    """
    return Invalid(
        "The file has no pixels there.",
        code="no_overlap",
        remedy="META=true shows where its images are.",
    )


async def send_view_or_refuse(
    context: Context,
    streams: Streams,
    request: Request,
    find_who: Callable[[], Who],
    path: VOSPath,
    pairs: Pairs,
) -> Response:
    """Answer with a view on a URL of bytes."""
    try:
        return await send_view(context, streams, request, find_who, path, pairs)
    except NoOverlapError as error:
        raise no_overlap() from error


def _headers(node: Node, pairs: Pairs) -> dict[str, str]:
    asked = parse(pairs)
    assert asked is not None, "only views come here"
    stem = _SUFFIX.sub("", node.name) or node.name
    name = {
        View.CUTOUT: f"{stem}_cutout.fits",
        View.HEADER: f"{node.name}.txt",
        View.PREVIEW: f"{stem}.png",
        View.TABLE: f"{stem}.json",
    }[asked.view]
    of_file = headers.of_node(node)
    kept = (
        "X-Content-Type-Options",
        "Content-Security-Policy",
        "Referrer-Policy",
        "Cache-Control",
        "Last-Modified",
    )
    way = "inline" if asked.view is View.PREVIEW else "attachment"
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return {
        **{header: of_file[header] for header in kept if header in of_file},
        "Content-Type": _TYPES[asked.view],
        "Content-Disposition": f"{way}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "ETag": f'"{tag_of_view(node, pairs)}"',
    }


def _pieces(answer: Answer) -> Iterator[bytes]:
    try:
        yield from answer
    finally:
        answer.close()
