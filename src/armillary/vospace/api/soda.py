"""`/soda`: cutouts by the IVOA's own protocols, SODA 1.0 and DataLink 1.0, for clients such as pyvo.

A dataset is a file of the tree, and its identifier the node's URI.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from xml.sax.saxutils import escape, quoteattr

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from armillary.base.errors import ArmillaryError, Invalid
from armillary.vospace.api.context import Context, Endpoint, base_url, fault
from armillary.vospace.api.files import grant_url
from armillary.vospace.api.sending import Streams
from armillary.vospace.api.transfers import form
from armillary.vospace.api.views import offered, send_view, with_query
from armillary.vospace.model import Node
from armillary.vospace.paths import VOSPath, parse_uri, to_uri
from armillary.vospace.service.views import Pairs
from armillary.vospace.views.overlap import NoOverlapError
from armillary.vospace.views.parameters import NAMES, parse

SYNC = "ivo://ivoa.net/std/SODA#sync-1.0"
_FORMATS = frozenset({"", "fits", "application/fits", "image/fits"})
_VOTABLE = "application/x-votable+xml;content=datalink"
_PARAMETERS = (
    ("POS", "pos.outline;obs", "", 'datatype="char" arraysize="*"', "circle, range or polygon, ICRS degrees"),
    ("CIRCLE", "pos.outline;obs", "deg", 'datatype="double" arraysize="3" xtype="circle"', "a circle, ICRS"),
    (
        "POLYGON",
        "pos.outline;obs",
        "deg",
        'datatype="double" arraysize="*" xtype="polygon"',
        "a polygon, ICRS",
    ),
    ("BAND", "em.wl;stat.interval", "m", 'datatype="double" arraysize="2" xtype="interval"', "wavelengths"),
    (
        "TIME",
        "time.interval;obs.exposure",
        "d",
        'datatype="double" arraysize="2" xtype="interval"',
        "MJD, UTC",
    ),
    ("POL", "meta.code;phys.polarization", "", 'datatype="char" arraysize="*"', "polarization states"),
    ("SUB", "", "", 'datatype="char" arraysize="*"', "pixels: [HDU][x1:x2,y1:y2]"),
    ("META", "", "", 'datatype="char" arraysize="*"', "true: the headers only"),
)
_FIELDS = (
    "ID",
    "access_url",
    "service_def",
    "error_message",
    "semantics",
    "description",
    "content_type",
    "content_length",
)


def sync(context: Context) -> Endpoint:
    """`/soda/sync` (SODA 1.0, section 2.1): GET or POST, with one ID."""
    streams = Streams()

    async def answer(request: Request) -> Response:
        pairs = await _pairs(request)
        path = _dataset(context, pairs)
        wanted = [pair for pair in pairs if pair[0] in NAMES]
        for name, value in pairs:
            if name == "RESPONSEFORMAT" and value.strip().lower() not in _FORMATS:
                raise Invalid(
                    "Cutouts are FITS files.",
                    code="invalid_argument",
                    facts={"field": name},
                    remedy="Leave it out.",
                )
        if not parse(wanted):
            who = await context.who(request)
            node = (await run_in_threadpool(context.service.open_bytes, who, path, head=True)).node
            asker = await run_in_threadpool(context.service.access.asker, who)
            slip = context.grants.issue("read", node.path, asker)
            return RedirectResponse(grant_url(f"{base_url(request)}/vault", slip, node.path), status_code=303)
        try:
            return await send_view(context, streams, request, lambda: context.find_who(request), path, wanted)
        except NoOverlapError:
            return Response(status_code=204)

    return _in_words_of_dali(answer)


def links(context: Context) -> Endpoint:
    """`/soda/links` (DataLink 1.0): the file, its pictures and its headers, and how to cut out of it."""

    async def answer(request: Request) -> Response:
        offered(context)
        path = _dataset(context, await _pairs(request))
        who = await context.who(request)
        node = (await run_in_threadpool(context.service.open_bytes, who, path, head=True)).node
        asker = await run_in_threadpool(context.service.access.asker, who)
        base = base_url(request)
        # An address for each: the links are for programs that have no credential for them.
        slip = context.grants.issue("read", node.path, asker)
        url = grant_url(f"{base}/vault", slip, node.path)
        uri = to_uri(path, context.authority("vault"))
        return Response(_table(uri, url, node, f"{base}/soda/sync"), media_type=_VOTABLE)

    return _in_words_of_dali(answer)


async def _pairs(request: Request) -> Pairs:
    """Return the parameters of the query and of a form, their names in upper case."""
    pairs = list(request.query_params.multi_items())
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if request.method == "POST" and kind == "application/x-www-form-urlencoded":
        pairs += await form(request)
    elif request.method == "POST" and kind == "multipart/form-data":
        async with request.form(max_files=0, max_fields=200, max_part_size=1 << 16) as fields:
            pairs += [(name, value) for name, value in fields.multi_items() if isinstance(value, str)]
    return [(name.upper(), value) for name, value in pairs]


def _dataset(context: Context, pairs: Pairs) -> VOSPath:
    uris = [value for name, value in pairs if name == "ID"]
    if len(uris) != 1:
        raise Invalid(
            "Only one ID can be given at a time." if uris else "Which file is meant?",
            code="several_ids" if uris else "invalid_argument",
            facts={"field": "ID"},
            remedy="Send one ID, the URI of a node: ID=vos://AUTHORITY~vault/PATH.",
        )
    return parse_uri(uris[0], context.service.authorities)


def _in_words_of_dali(answer: Callable[[Request], Awaitable[Response]]) -> Endpoint:
    """Say refusals as SODA 1.0 does (section 5.2): a text that begins with one of its words."""

    async def endpoint(request: Request) -> Response:
        try:
            return await answer(request)
        except ArmillaryError as error:
            ours = fault(error)
            word = {
                401: "AuthenticationError",
                403: "AuthorizationError",
                503: "ServiceUnavailable",
            }.get(error.status, "UsageError" if error.status < 500 else "Error")
            if error.code == "several_ids":
                word = "MultiValuedParamNotSupported"
            kept = {name: value for name, value in ours.headers.items() if name != "content-length"}
            text = f"{word}: {error.message} {error.remedy}".strip() + "\n"
            return PlainTextResponse(text, status_code=ours.status_code, headers=kept)

    return endpoint


def _table(uri: str, url: str, node: Node, sync_url: str) -> str:
    """Return the links of a file as DataLink's VOTable, with a service descriptor."""
    rows = [
        (url, "", "#this", "the file", node.content_type or "application/octet-stream", str(node.length)),
        (with_query(url, [("PREVIEW", "true")]), "", "#preview", "a picture", "image/png", ""),
        (with_query(url, [("PREVIEW", "thumbnail")]), "", "#thumbnail", "a small picture", "image/png", ""),
        (
            with_query(url, [("META", "true")]),
            "",
            "#detached-header",
            "the headers of all HDUs",
            "text/plain",
            "",
        ),
        ("", "soda-sync", "#cutout", "parts of the file", "application/fits", ""),
    ]
    fields = "".join(
        f'<FIELD name="{name}" datatype="long"/>'
        if name == "content_length"
        else f'<FIELD name="{name}" ID="{name.lower()}-column" datatype="char" arraysize="*"/>'
        for name in _FIELDS
    )
    data = "".join(
        "<TR>"
        + "".join(
            f"<TD>{escape(cell)}</TD>" for cell in (uri, address, service, "", meaning, said, kind, length)
        )
        + "</TR>"
        for address, service, meaning, said, kind, length in rows
    )
    inputs = "".join(
        f'<PARAM name="{name}" {kind} value=""'
        + (f' ucd="{ucd}"' if ucd else "")
        + (f' unit="{unit}"' if unit else "")
        + f"><DESCRIPTION>{escape(said)}</DESCRIPTION></PARAM>"
        for name, ucd, unit, kind, said in _PARAMETERS
    )
    text = 'datatype="char" arraysize="*"'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
        f'<RESOURCE type="results"><TABLE>{fields}<DATA><TABLEDATA>{data}</TABLEDATA></DATA></TABLE></RESOURCE>'
        '<RESOURCE type="meta" ID="soda-sync" utype="adhoc:service">'
        f'<PARAM name="standardID" {text} value="{SYNC}"/>'
        f'<PARAM name="accessURL" {text} value={quoteattr(sync_url)}/>'
        '<GROUP name="inputParams">'
        f'<PARAM name="ID" ucd="meta.ref.url;meta.curation" {text} value={quoteattr(uri)}/>{inputs}'
        "</GROUP></RESOURCE></VOTABLE>\n"
    )
