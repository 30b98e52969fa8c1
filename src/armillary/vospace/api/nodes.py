"""`/<service>/nodes/…`: look at, make, change and delete nodes."""

from __future__ import annotations

from itertools import chain
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from armillary.base.errors import Invalid
from armillary.vospace.api.context import Context, Endpoint, base_url, document, path_after
from armillary.vospace.api.metadata import protocols
from armillary.vospace.core.names import CORE, DEFAULT_VIEW
from armillary.vospace.core.properties import change_for_new, change_of
from armillary.vospace.model import Change, Node, NodeKind, Order, Page
from armillary.vospace.paths import VOSPath, parse_uri
from armillary.vospace.xml import NodeDocument, asks_for_protocols, listing, node_text, parse_node

_ORDERS = {
    CORE + "title": Order.NAME,
    CORE + "length": Order.LENGTH,
    CORE + "date": Order.DATE,
    CORE + "ctime": Order.DATE,
    CORE + "btime": Order.MADE,
    CORE + "type": Order.TYPE,
    CORE + "creator": Order.OWNER,
}
_ALL = 2**62
_XML = "text/xml"


def nodes(context: Context, kind: str) -> Endpoint:
    """Return the endpoint of one service."""
    prefix = f"/{kind}/nodes"
    authority = context.authority(kind)
    service = context.service

    def url_of(request: Request, path: VOSPath, part: str = "nodes") -> str:
        return f"{base_url(request)}/{kind}/{part}{quote(str(path))}"

    def answer(request: Request, node: Node, status: int = 200) -> Response:
        text = node_text(node, authority, url=url_of(request, node.path))
        return Response(text, status_code=status, media_type=_XML)

    async def get(request: Request, path: VOSPath) -> Response:
        who = await context.who(request)
        query = request.query_params
        if query.get("view") == "data":
            return RedirectResponse(url_of(request, path, "files"), status_code=303)
        detail = _detail(query)
        limit = _limit(query.get("limit"))
        page = _page(context, path, limit, query)
        url = url_of(request, path)

        def listed() -> Response:
            node, children = service.listed(who, path, page)
            pieces = listing(node, children, authority, detail=detail, url=url)
            first, second = next(pieces), next(pieces, None)
            if second is None:  # most are short: in one piece they cost half as much
                return Response(first, media_type=_XML)
            return StreamingResponse(chain((first, second), pieces), media_type=_XML)

        return await run_in_threadpool(listed)

    async def put(request: Request, path: VOSPath) -> Response:
        who = await context.who(request)
        wanted = _document(context, await document(request), path)
        change = change_for_new((uri, value) for uri, value in wanted.properties if value)
        if wanted.kind is NodeKind.LINK:
            node = await run_in_threadpool(service.make_link, who, path, wanted.target, change)
        elif wanted.kind is NodeKind.CONTAINER:
            node = await run_in_threadpool(service.make_container, who, path, change)
        else:
            node = await run_in_threadpool(service.make_file, who, path, change, wanted.kind)
        return answer(request, node, 201)

    async def post(request: Request, path: VOSPath) -> Response:
        who = await context.who(request)
        body = await document(request)
        if asks_for_protocols(body):
            await run_in_threadpool(service.node, who, path)
            return await protocols(request)
        wanted = _document(context, body, path)

        def change(node: Node) -> Change:
            target = wanted.target if node.kind is NodeKind.LINK else ""
            return change_of(wanted.properties, node, target=target)

        return answer(request, await run_in_threadpool(service.set_properties, who, path, change))

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


def _detail(query: QueryParams) -> str:
    detail = query.get("detail", "max").lower()
    if detail not in {"min", "max", "properties"}:
        raise _bad("detail", "detail is min, max or properties.")
    view = query.get("view", DEFAULT_VIEW)
    if view not in {DEFAULT_VIEW, "default"}:
        raise Invalid(
            f"Nodes have no view {view[:200]}.",
            code="view_not_supported",
            facts={"field": "view", "view": view[:200]},
            remedy="Leave the view out, or transfer the node with it.",
        )
    return detail


def _page(context: Context, path: VOSPath, limit: int, query: QueryParams) -> Page:
    uri, sort, order = query.get("uri"), query.get("sort"), query.get("order")
    start = ""
    if uri:
        child = parse_uri(uri, context.service.authorities)
        if child.parent != path or not child.names:
            raise _bad("uri", "uri is not a child of this container.")
        start = child.name
    if sort and sort not in _ORDERS:
        raise _bad("sort", f"Children can be sorted by {', '.join(_ORDERS)}.")
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
