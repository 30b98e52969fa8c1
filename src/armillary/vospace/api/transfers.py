"""`/<service>/synctrans`: say how bytes will move, and be told where to send them or fetch them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from armillary.base.errors import Invalid
from armillary.vospace.api.context import Context, Endpoint, base_url, document
from armillary.vospace.api.files import grant_url
from armillary.vospace.api.packages import package_url
from armillary.vospace.api.views import parameters_of_view, with_query
from armillary.vospace.core.names import PACKAGE_VIEW
from armillary.vospace.core.permissions import SYSTEM_OWNER, Asker
from armillary.vospace.job_model import Job, JobKind, Phase
from armillary.vospace.paths import VOSPath, to_uri
from armillary.vospace.service.job_work import DETAILS
from armillary.vospace.service.negotiation import OFFERED, PULL, PUSH, Negotiation, offered
from armillary.vospace.transfer_xml import (
    Protocol,
    TransferDocument,
    parse_transfer,
    transfer_element,
    transfer_text,
)
from armillary.vospace.uws import job_text, parameters_text, results_text

_ACTIONS = {PULL: "read", PUSH: "write"}
_TEXT = "text/xml"


def synctrans(context: Context, kind: str) -> Endpoint:
    """Return the endpoint that negotiates at once.

    No job is stored: the transfer is in its own address, signed. A refusal is the answer to the first
    request, which the stock clients report better than a job that has failed.
    """
    negotiation = Negotiation(space=context.service)

    async def endpoint(request: Request) -> Response:
        who = await context.who(request)
        transfer, fields = await _read(request)
        asker = await run_in_threadpool(context.service.access.asker, who)
        home = f"{base_url(request)}/{kind}"
        if transfer.view == PACKAGE_VIEW and transfer.direction == PULL:
            url = await run_in_threadpool(package_url, context, home, transfer, who, asker)
            return RedirectResponse(url, status_code=303)
        path = await run_in_threadpool(negotiation.check, asker, transfer)
        transfer = replace(transfer, targets=(to_uri(path, context.authority(kind)),))
        if fields is not None:
            if transfer.direction == PULL and fields.get("REQUEST", [""])[0].lower() == "redirect":
                # Pre-authorised, whatever way to sign in was named: clients send no credential where they are sent on.
                openly = replace(transfer, protocols=[replace(p, security=()) for p in transfer.protocols])
                found = answered(context, home, openly, path, asker)
                return RedirectResponse(found.protocols[0].endpoint, status_code=303)
            found = answered(context, home, transfer, path, asker)
            return Response(transfer_text(found), media_type=_TEXT)
        note = json.dumps(
            [transfer.view, transfer.view_params, *([p.uri, *p.security] for p in transfer.protocols)]
        )
        slip = context.grants.issue("sync-" + _ACTIONS[transfer.direction], path, asker, note)
        return RedirectResponse(f"{home}/synctrans/{slip}/{DETAILS}", status_code=303)

    return endpoint


def synctrans_job(context: Context, kind: str) -> Endpoint:
    """Return the endpoint of what `synctrans` answered: a job that was over when it began."""

    async def endpoint(request: Request) -> Response:
        slip: str = request.path_params["job"]
        part: str = request.path_params.get("part", "")
        grant = context.grants.read(slip, frozenset({"sync-read", "sync-write"}))
        home = f"{base_url(request)}/{kind}"
        where = f"{home}/synctrans/{slip}"
        view, view_params, *protocols = json.loads(grant.note)
        transfer = TransferDocument(
            targets=(to_uri(grant.path, context.authority(kind)),),
            direction=PULL if grant.action == "sync-read" else PUSH,
            keep_bytes=True,
            protocols=[Protocol(uri=uri, security=tuple(methods)) for uri, *methods in protocols],
            view=view,
            view_params=tuple((uri, value) for uri, value in view_params),
        )
        if part == DETAILS:
            found = answered(context, home, transfer, grant.path, grant.asker)
            return Response(transfer_text(found), media_type=_TEXT)
        job = Job(
            id=slip,
            kind=JobKind.TRANSFER,
            owner_id=grant.asker.person_id if grant.asker else SYSTEM_OWNER,
            owner_name=grant.asker.user_name if grant.asker else "",
            phase=Phase.COMPLETED,
            document="",
            created_at=grant.expires_at - context.grants.lifetime,
            destroy_at=grant.expires_at,
            results={"transferDetails": DETAILS},
        )
        documents = {
            "": lambda: job_text(job, where, transfer_element(transfer)),
            "results": lambda: results_text(job.results, where),
            "parameters": lambda: parameters_text(job),
        }
        if part in documents:
            return Response(documents[part](), media_type=_TEXT)
        return PlainTextResponse({"phase": job.phase.value, "owner": job.owner_name}.get(part, ""))

    return endpoint


def answered(
    context: Context, home: str, transfer: TransferDocument, path: VOSPath, asker: Asker | None
) -> TransferDocument:
    """Return the transfer with an endpoint for each protocol that we offer, pre-authorised ones first.

    `home` is the URL of the service.

    Whatever of http and https was asked for, the client gets the address under which it reached us.
    """
    protocols = offered(transfer)
    slip = context.grants.issue(_ACTIONS[transfer.direction], path, asker)
    pairs = parameters_of_view(transfer.view, transfer.view_params) if transfer.direction == PULL else ()
    pre_authorised = with_query(grant_url(home, slip, path), pairs)
    with_credential = with_query(f"{home}/files{quote(str(path))}", pairs)
    found = [replace(p, endpoint=pre_authorised) for p in protocols if not p.security]
    found += [replace(p, endpoint=with_credential) for p in protocols if p.security]
    return replace(transfer, protocols=found)


async def _read(request: Request) -> tuple[TransferDocument, Mapping[str, Sequence[str]] | None]:
    """Read a transfer from a document, or from a form or the query, whose fields are returned too."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    in_query = "TARGET" in request.query_params  # canfar's client says that it posts XML, and posts nothing
    if request.method == "POST" and kind in {"text/xml", "application/xml"} and not in_query:
        return parse_transfer(await document(request)), None
    fields: dict[str, list[str]] = {}
    pairs = list(request.query_params.multi_items())
    if request.method == "POST" and kind == "application/x-www-form-urlencoded":
        pairs += await form(request)
    for name, value in pairs:
        fields.setdefault(name.upper(), []).append(value)
    return _from_fields(fields), fields


async def form(request: Request) -> list[tuple[str, str]]:
    """Return the fields of a posted form, which must be small."""
    text = (await document(request)).decode("utf-8", "replace")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=1000)
    except ValueError as error:
        raise Invalid("The form has too many fields.", code="invalid_argument") from error


def _from_fields(fields: Mapping[str, Sequence[str]]) -> TransferDocument:
    security = tuple(uri for uri in fields.get("SECURITYMETHOD", ()) if uri and not uri.endswith("#anon"))
    direction = fields.get("DIRECTION", [PULL])[0]
    default = sorted(OFFERED.get(direction, ()))
    return TransferDocument(
        targets=tuple(fields.get("TARGET", [""])),
        direction=direction,
        keep_bytes=True,
        protocols=[Protocol(uri=uri, security=security) for uri in fields.get("PROTOCOL", default)],
        view=fields.get("VIEW", [""])[0],
    )
