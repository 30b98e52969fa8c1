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
from armillary.vospace.core.permissions import SYSTEM_OWNER, Action, Asker
from armillary.vospace.core.properties import CORE
from armillary.vospace.model import Job, JobKind, Phase
from armillary.vospace.paths import VOSPath, parse_uri, to_uri
from armillary.vospace.service.access import Who, denied
from armillary.vospace.transfer_xml import Protocol, TransferDocument, parse_transfer, transfer_text
from armillary.vospace.uws import job_text

PULL = "pullFromVoSpace"
PUSH = "pushToVoSpace"
_ACTIONS = {PULL: "read", PUSH: "write"}
_DETAILS = "results/transferDetails"
_PROTOCOLS = {
    PULL: frozenset({CORE + "httpget", CORE + "httpsget"}),
    PUSH: frozenset({CORE + "httpput", CORE + "httpsput"}),
}


def synctrans(context: Context, kind: str) -> Endpoint:
    """Return the endpoint that negotiates at once.

    No job is stored: the transfer is in its own address, signed. A refusal is the answer to the first
    request, which the stock clients report better than a job that has failed.
    """

    async def endpoint(request: Request) -> Response:
        who = await context.who(request)
        transfer, redirect = await _read(request)
        path, asker = await run_in_threadpool(check, context, who, transfer)
        base = base_url(request)
        if redirect:
            endpoints = answered(context, f"{base}/{kind}", transfer, path, asker).protocols
            return RedirectResponse(endpoints[0].endpoint, status_code=303)
        note = json.dumps([transfer.view, *([p.uri, *p.security] for p in transfer.protocols)])
        slip = context.grants.issue("sync-" + _ACTIONS[transfer.direction], path, asker, note)
        return RedirectResponse(f"{base}/{kind}/synctrans/{slip}/{_DETAILS}", status_code=303)

    return endpoint


def synctrans_job(context: Context, kind: str) -> Endpoint:
    """Return the endpoint of what `synctrans` answered: a job that was over when it began."""

    async def endpoint(request: Request) -> Response:
        slip: str = request.path_params["job"]
        part: str = request.path_params.get("part", "")
        grant = context.grants.read(slip, frozenset({"sync-read", "sync-write"}))
        if part == "phase":
            return PlainTextResponse("COMPLETED")
        if part == _DETAILS:
            view, *protocols = json.loads(grant.note)
            transfer = TransferDocument(
                target=to_uri(grant.path, context.authority(kind)),
                direction=PULL if grant.action == "sync-read" else PUSH,
                keep_bytes=True,
                protocols=[Protocol(uri=uri, security=tuple(methods)) for uri, *methods in protocols],
                view=view,
            )
            found = answered(context, f"{base_url(request)}/{kind}", transfer, grant.path, grant.asker)
            return Response(transfer_text(found), media_type="text/xml")
        if part:
            return PlainTextResponse("")
        job = Job(
            id=slip,
            kind=JobKind.TRANSFER,
            owner_id=grant.asker.person_id if grant.asker else SYSTEM_OWNER,
            owner_name=grant.asker.user_name if grant.asker else "",
            phase=Phase.COMPLETED,
            document="",
            created_at=context.now(),
            destroy_at=grant.expires_at,
            results={"transferDetails": f"{base_url(request)}/{kind}/synctrans/{slip}/{_DETAILS}"},
        )
        return Response(job_text(job), media_type="text/xml")

    return endpoint


def check(context: Context, who: Who, transfer: TransferDocument) -> tuple[VOSPath, Asker | None]:
    """Return what is to move and for whom, if it may.

    Raises:
        Invalid, NotFound, Forbidden, Unauthorized: it may not.
    """
    if transfer.direction not in _ACTIONS:
        third = transfer.direction in {"pullToVoSpace", "pushFromVoSpace"}
        raise Invalid(
            "Transfers with a third service are not offered." if third else "This is not a direction.",
            code="operation_not_supported" if third else "invalid_argument",
            facts={"field": "direction", "direction": transfer.direction[:100]},
            remedy=f"Use {PULL} or {PUSH}.",
        )
    path = parse_uri(transfer.target, context.service.authorities)
    if not _PROTOCOLS[transfer.direction].intersection(p.uri for p in transfer.protocols):
        raise Invalid(
            "None of these protocols is offered for this direction.",
            code="protocol_not_supported",
            facts={"offered": sorted(_PROTOCOLS[transfer.direction])},
            remedy="Ask for one that is offered.",
        )
    asker = context.service.access.asker(who)
    if transfer.direction == PULL:
        context.service.open_bytes(who, path, head=True)
    elif asker is None:
        raise denied(None, Action.WRITE, path)
    else:
        context.service.begin_upload(asker, path).abort()
    return path, asker


def answered(
    context: Context, home: str, transfer: TransferDocument, path: VOSPath, asker: Asker | None
) -> TransferDocument:
    """Return the transfer with an endpoint for each protocol that we offer, pre-authorised ones first.

    `home` is the URL of the service.

    Whatever of http and https was asked for, the client gets the address under which it reached us.
    """
    offered = [p for p in transfer.protocols if p.uri in _PROTOCOLS[transfer.direction]]
    slip = context.grants.issue(_ACTIONS[transfer.direction], path, asker)
    pre_authorised = grant_url(home, slip, path)
    found = [replace(p, endpoint=pre_authorised) for p in offered if not p.security]
    found += [
        replace(p, endpoint=f"{home}/files{quote(str(path))}", security=p.security)
        for p in offered
        if p.security
    ]
    return replace(transfer, protocols=found)


async def _read(request: Request) -> tuple[TransferDocument, bool]:
    """Read a transfer from a document, a form or the query; the flag: redirect to the bytes."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if request.method == "POST" and kind in {"text/xml", "application/xml"}:
        return parse_transfer(await document(request)), False
    fields: dict[str, list[str]] = {}
    pairs = list(request.query_params.multi_items())
    if request.method == "POST" and kind == "application/x-www-form-urlencoded":
        pairs += await form(request)
    for name, value in pairs:
        fields.setdefault(name.upper(), []).append(value)
    return _from_fields(fields), fields.get("REQUEST", [""])[0].lower() == "redirect"


async def form(request: Request) -> list[tuple[str, str]]:
    """Return the fields of a posted form, which must be small."""
    return parse_qsl(
        (await document(request)).decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100
    )


def _from_fields(fields: Mapping[str, Sequence[str]]) -> TransferDocument:
    security = tuple(uri for uri in fields.get("SECURITYMETHOD", ()) if uri and not uri.endswith("#anon"))
    direction = fields.get("DIRECTION", [PULL])[0]
    default = sorted(_PROTOCOLS.get(direction, ()))
    return TransferDocument(
        target=fields.get("TARGET", [""])[0],
        direction=direction,
        keep_bytes=True,
        protocols=[Protocol(uri=uri, security=security) for uri in fields.get("PROTOCOL", default)],
        view=fields.get("VIEW", [""])[0],
    )
