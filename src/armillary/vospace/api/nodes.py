"""`/<service>/nodes/…`: look at, make, change and delete nodes."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from armillary.base.errors import Invalid
from armillary.vospace.api.context import Context, Endpoint, document, path_after
from armillary.vospace.core.properties import CORE, change_of
from armillary.vospace.model import NodeKind, Order, Page
from armillary.vospace.paths import VOSPath, parse_uri
from armillary.vospace.xml import NodeDocument, listing, node_text, parse_node

_ORDERS = {CORE + "length": Order.LENGTH, CORE + "date": Order.DATE}
_ALL = 2**62


def nodes(context: Context, kind: str) -> Endpoint:
    """Return the endpoint of one service."""
    prefix = f"/{kind}/nodes"
    authority = context.authority(kind)
    service = context.service

    async def get(request: Request, path: VOSPath) -> Response:
        who = await context.who(request)
        query = request.query_params
        detail = query.get("detail", "max").lower()
        if detail not in {"min", "max", "properties"}:
            raise _bad("detail", "detail is min, max or properties.")
        if query.get("view", CORE + "defaultview") not in {CORE + "defaultview", "default"}:
            raise Invalid("Nodes have no such view.", code="view_not_supported", remedy="Leave the view out.")
        node = await run_in_threadpool(service.node, who, path)
        limit = _limit(query.get("limit"))
        if not node.is_container or limit == 0:
            return Response(node_text(node, authority, detail=detail), media_type="text/xml")
        page = _page(context, path, limit, query)
        children = await run_in_threadpool(service.children, who, path, page)
        return StreamingResponse(listing(node, children, authority, detail=detail), media_type="text/xml")

    async def put(request: Request, path: VOSPath) -> Response:
        who = await context.who(request)
        wanted = _document(context, await document(request), path)
        change = change_of((uri, value) for uri, value in wanted.properties if value)
        if wanted.kind is NodeKind.LINK:
            node = await run_in_threadpool(service.make_link, who, path, wanted.target, change)
        elif wanted.kind is NodeKind.CONTAINER:
            node = await run_in_threadpool(service.make_container, who, path, change)
        else:
            node = await run_in_threadpool(service.make_file, who, path, change)
        return Response(node_text(node, authority), status_code=201, media_type="text/xml")

    async def post(request: Request, path: VOSPath) -> Response:
        who = await context.who(request)
        wanted = _document(context, await document(request), path)
        node = await run_in_threadpool(service.set_properties, who, path, change_of(wanted.properties))
        return Response(node_text(node, authority), media_type="text/xml")

    async def delete(request: Request, path: VOSPath) -> Response:
        await run_in_threadpool(service.delete, await context.who(request), path)
        return Response(status_code=204)

    verbs = {"GET": get, "HEAD": get, "PUT": put, "POST": post, "DELETE": delete}

    async def endpoint(request: Request) -> Response:
        return await verbs[request.method](request, path_after(request, prefix))

    return endpoint


def _document(context: Context, body: bytes, path: VOSPath) -> NodeDocument:
    """Read a node document, which must speak of the node in the URL."""
    wanted = parse_node(body)
    if parse_uri(wanted.uri, context.service.authorities) != path:
        raise Invalid(
            "The document is about another node than the URL.",
            code="invalid_uri",
            facts={"uri": wanted.uri[:200], "path": str(path)},
            remedy="Write the same node in both.",
        )
    return wanted


def _page(context: Context, path: VOSPath, limit: int, query: QueryParams) -> Page:
    uri, sort, order = query.get("uri"), query.get("sort"), query.get("order")
    start = ""
    if uri:
        child = parse_uri(uri, context.service.authorities)
        if child.parent != path or not child.names:
            raise _bad("uri", "uri is not a child of this container.")
        start = child.name
    if sort and sort not in _ORDERS:
        raise _bad("sort", "Children can be sorted by length and date.")
    if order not in {None, "asc", "desc"}:
        raise _bad("order", "order is asc or desc.")
    by = _ORDERS[sort] if sort else Order.NAME
    return Page(start=start, limit=limit, order=by, descending=order == "desc")


def _limit(text: str | None) -> int:
    if text is None:
        return _ALL
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise _bad("limit", "limit is a number from 0.")
    return int(text)


def _bad(field: str, message: str) -> Invalid:
    return Invalid(message, code="invalid_argument", facts={"field": field}, remedy=f"Correct {field}.")
