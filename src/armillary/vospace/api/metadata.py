"""`/<service>/protocols`, `/views` and `/properties`: what the service takes and gives."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import quoteattr

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from armillary.vospace.api.context import Context, Endpoint
from armillary.vospace.core.names import CADC, CORE, FREE, HANDLED, QUOTA, READ_ONLY
from armillary.vospace.core.views import ACCEPTED, PROVIDED
from armillary.vospace.documents import DECLARATION, VOS

_PROTOCOLS = tuple(CORE + name for name in ("httpget", "httpsget", "httpput", "httpsput"))
_OURS = READ_ONLY - {CADC + "creatorJWT", CORE + "atime"}


async def protocols(_request: Request) -> Response:
    """`/<service>/protocols`: as a client of other services, and as a server."""
    return _document("protocols", "protocol", accepts=_PROTOCOLS, provides=_PROTOCOLS)


async def views(_request: Request) -> Response:
    """`/<service>/views`: the forms in which bytes come and go."""
    return _document("views", "view", accepts=ACCEPTED, provides=PROVIDED)


def properties(context: Context) -> Endpoint:
    """`/<service>/properties`: what we understand, what we tell, and what nodes have."""

    async def endpoint(_request: Request) -> Response:
        free = await run_in_threadpool(context.service.property_names)
        shown = _OURS | {QUOTA} | frozenset(HANDLED.values())
        return _document(
            "properties",
            "property",
            accepts=sorted(FREE.union(HANDLED)),
            provides=sorted(shown),
            contains=sorted(shown.union(free)),
        )

    return endpoint


def _document(name: str, item: str, **lists: Iterable[str]) -> Response:
    parts = "".join(
        f"<vos:{word}>{''.join(f'<vos:{item} uri={quoteattr(uri)}/>' for uri in uris)}</vos:{word}>"
        for word, uris in lists.items()
    )
    text = f'{DECLARATION}<vos:{name} xmlns:vos="{VOS}">{parts}</vos:{name}>\n'
    return Response(text, media_type="text/xml")
