"""Where things are: the registry document, capabilities, availability, and what transfers we know."""

from __future__ import annotations

import logging
from xml.sax.saxutils import escape, quoteattr

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from armillary.base.clock import to_iso
from armillary.vospace.api.context import Context, Endpoint, base_url
from armillary.vospace.core.names import PACKAGE_VIEW
from armillary.vospace.paths import VOSPath

log = logging.getLogger("armillary")

_SIGNED = (
    "ivo://ivoa.net/sso#tls-with-certificate",
    "ivo://ivoa.net/sso#cookie",
    "ivo://ivoa.net/sso#token",
    "ivo://ivoa.net/sso#BasicAA",
)
_STD = "ivo://ivoa.net/std"
_POLICY = (
    "A node belongs to who made it. Its owner, and the owner of the home that it is in, may do everything with "
    "it; the groups that it names may read it, or write too; public nodes may be read by everybody."
)
"""VOSpace 2.1 wants it declared where the service is registered (section 5)."""
_SPACE = {
    f"{_STD}/VOSpace/v2.0#nodes": "nodes",
    f"{_STD}/VOSpace#files-proto": "files",
    f"{_STD}/VOSpace#sync-2.1": "synctrans",
    f"{_STD}/VOSpace/v2.0#sync": "synctrans",
    f"{_STD}/VOSpace/v2.0#transfers": "transfers",
    PACKAGE_VIEW: "pkg",
    f"{_STD}/VOSpace#recursive-delete-proto": "async-delete",
    f"{_STD}/VOSpace#recursive-nodeprops-proto": "async-setprops",
    f"{_STD}/VOSpace/v2.0#protocols": "protocols",
    f"{_STD}/VOSpace/v2.0#views": "views",
    f"{_STD}/VOSpace/v2.0#properties": "properties",
}
# The stock group client and the text of GMS 1.0 write the standard's name differently.
_GROUPS = {
    f"{_STD}/GMS#search-1.0": "search",
    f"{_STD}/gms#search-1.0": "search",
    f"{_STD}/GMS#groups-0.1": "groups",
    f"{_STD}/UMS#users-0.1": "users",
    f"{_STD}/UMS#whoami-0.1": "whoami",
    f"{_STD}/UMS#login-0.1": "login",
    "ivo://ivoa.net/sso#tls-with-password": "login",
}
_CUTOUTS = {f"{_STD}/SODA#sync-1.0": "sync", f"{_STD}/DataLink#links-1.0": "links"}
_CREDENTIALS = {f"{_STD}/CDP#proxy-1.0": "generate"}
_SERVICES = {
    "vault": _SPACE,
    "arc": _SPACE,
    "gms": _GROUPS,
    "ac": _GROUPS,
    "cred": _CREDENTIALS,
    "soda": _CUTOUTS,
    "reg": dict[str, str](),
}
SERVICES = tuple(_SERVICES)
"""Those that the registry knows; each has capabilities and availability."""
_OPEN = frozenset({*_SPACE.values(), *_CUTOUTS.values(), "login"})
"""What strangers may ask for, too."""
_ALIASES = {"cavern": "arc", **{name: name for name in SERVICES}}


def resource_caps(context: Context) -> Endpoint:
    """`/reg/resource-caps`: service names and where their capabilities are."""

    async def endpoint(request: Request) -> Response:
        base = base_url(request)
        owners = dict.fromkeys((context.settings.authority, "opencadc.org", "cadc.nrc.ca"))
        lines = [
            f"ivo://{owner}/{name} = {base}/{service}/capabilities"
            for owner in owners
            for name, service in _ALIASES.items()
        ]
        return PlainTextResponse("# services of this Armillary\n" + "\n".join(lines) + "\n")

    return endpoint


def capabilities(service: str) -> Endpoint:
    """`/<service>/capabilities` (VOSI)."""
    signed = "".join(f'<securityMethod standardID="{method}"/>' for method in _SIGNED)
    # one that signs in takes nothing else; the others of the open ones take both
    methods = {
        path: "<securityMethod/>" + signed if path in _OPEN else signed
        for path in _SERVICES[service].values()
    }
    methods["login"] = "<securityMethod/>"

    async def endpoint(request: Request) -> Response:
        base = f"{base_url(request)}/{service}"
        vosi = {"capabilities": "capabilities", "availability": "availability"}
        parts = [
            _capability(f"{_STD}/VOSI#{name}", f"{base}/{path}", "full", "<securityMethod/>")
            for name, path in vosi.items()
        ]
        # The clients of the new generation (vosfs) want synctrans as `full`, all others as `base`: they take moves for
        # copies when they see `full` on transfers.
        parts += [
            _capability(name, f"{base}/{path}", "full" if path == "synctrans" else "base", methods[path])
            for name, path in _SERVICES[service].items()
        ]
        return _xml(
            '<vosi:capabilities xmlns:vosi="http://www.ivoa.net/xml/VOSICapabilities/v1.0" '
            'xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">' + "".join(parts) + "</vosi:capabilities>"
        )

    return endpoint


def _capability(standard: str, url: str, use: str, methods: str) -> str:
    policy = f"<description>{_POLICY}</description>" if standard == f"{_STD}/VOSpace/v2.0#nodes" else ""
    return (
        f"<capability standardID={quoteattr(standard)}>{policy}"
        '<interface xsi:type="vs:ParamHTTP" role="std" version="1.0">'
        f"<accessURL use={quoteattr(use)}>{url}</accessURL>{methods}</interface></capability>"
    )


def availability(context: Context) -> Endpoint:
    """`/<service>/availability` (VOSI): whether the records can be read, and since when this process is up."""
    since = to_iso(context.now())

    def readable() -> bool:
        try:
            with context.service.records.reading() as tree:
                return bool(tree.walk(VOSPath()))
        except Exception:  # whatever it is that the database says, the answer is the same
            log.exception("the records cannot be read")
            return False

    async def endpoint(request: Request) -> Response:
        client = request.client.host if request.client else ""
        available = await run_in_threadpool(readable)
        up = f"<vosi:upSince>{since}</vosi:upSince>" if available else ""
        note = "accepting requests" if available else "the records cannot be read"
        return _xml(
            '<vosi:availability xmlns:vosi="http://www.ivoa.net/xml/VOSIAvailability/v1.0">'
            f"<vosi:available>{str(available).lower()}</vosi:available>{up}<vosi:note>{note}</vosi:note>"
            f"<!-- <clientip>{escape(client)}</clientip> --></vosi:availability>"
        )

    return endpoint


def _xml(text: str) -> Response:
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n', media_type="text/xml")
