"""`/cred/generate`: short-lived client certificates. `/gms/search`: the groups of who asks."""

from __future__ import annotations

import re
from datetime import timedelta

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from armillary.accounts.model import Principal
from armillary.base.errors import Forbidden, Invalid
from armillary.vospace.api.context import Context, Endpoint
from armillary.vospace.core.properties import GMS

_DAYS = re.compile(r"\d{1,4}(?:\.\d{1,6})?")


def generate(context: Context) -> Endpoint:
    """Return the endpoint that `cadc-get-cert` asks, with a password."""

    async def endpoint(request: Request) -> Response:
        principal = await context.principal(request)
        _refuse_limited(request, principal)
        text = request.query_params.get("daysValid", str(context.settings.max_certificate_days))
        if not _DAYS.fullmatch(text) or float(text) <= 0:
            raise Invalid(
                "daysValid is a number of days.", code="invalid_argument", facts={"field": "daysValid"}
            )
        lifetime = timedelta(days=min(float(text), context.settings.max_certificate_days))
        if principal.token is not None:
            lifetime = min(lifetime, principal.token.expires_at - context.now())
        pem = await run_in_threadpool(context.certificates.issue_client, principal.person.user_name, lifetime)
        return Response(
            pem,
            media_type="application/x-pem-file",
            headers={
                "Content-Disposition": "attachment; filename=cadcproxy.pem",
                "Cache-Control": "no-store",
            },
        )

    return endpoint


def search(context: Context) -> Endpoint:
    """Return the endpoint of GMS 1.0: those of the groups asked for, or of all, that the caller is in."""

    async def endpoint(request: Request) -> Response:
        principal = await context.principal(request)
        groups = await run_in_threadpool(context.groups, principal)
        asked = {name.rpartition("?")[2] for name in request.query_params.getlist("group")}
        found = sorted(groups & asked if asked else groups)
        if "role" in request.query_params:
            items = "".join(f'  <group uri="{GMS}{name}">\n  </group>\n' for name in found)
            return Response(f"<groups>\n{items}</groups>\n", media_type="text/xml")
        return PlainTextResponse("".join(f"{name}\r\n" for name in found))

    return endpoint


def _refuse_limited(request: Request, principal: Principal) -> None:
    """Refuse to make an unlimited certificate of a limited credential, or a new one of an old one."""
    if principal.scopes or principal.of_job or principal.facts or "authorization" not in request.headers:
        raise Forbidden(
            "A certificate is only given for a password or an unlimited token.",
            code="limited_credential",
            remedy="Use cadc-get-cert with your user name and password.",
        )
