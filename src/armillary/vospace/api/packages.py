"""`/<service>/pkg/…`: nodes in one archive, for who is signed in or has a pre-authorised address."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid, NotFound
from armillary.vospace.api.context import Context, Endpoint, path_after, raw_after
from armillary.vospace.api.files import GRANT
from armillary.vospace.core.names import CORE
from armillary.vospace.core.permissions import Asker
from armillary.vospace.job_model import JobKind
from armillary.vospace.paths import VOSPath
from armillary.vospace.service.negotiation import offered
from armillary.vospace.service.packages import MEDIA_TYPES, Packages, ending_of, format_of, safe
from armillary.vospace.transfer_xml import Protocol, TransferDocument, parse_transfer, transfer_element

_ACTION = "package"
_MAX_IN_ADDRESS = 2000
"""Longer lists of targets are kept in a job: addresses have to pass through proxies."""


def packages(context: Context, kind: str) -> Endpoint:
    """Return the endpoint of one service."""
    prefix = f"/{kind}/pkg"
    service = Packages(space=context.service)

    async def endpoint(request: Request) -> Response:
        first = unquote(raw_after(request, prefix).lstrip(b"/").partition(b"/")[0])
        if first.startswith(GRANT):
            asker, targets, ending = await run_in_threadpool(_granted, first.removeprefix(GRANT))
        else:
            who = await context.who(request)
            asker = await run_in_threadpool(context.service.access.asker, who)
            targets = [path_after(request, prefix)]
            query = {name.upper(): value for name, value in request.query_params.multi_items()}
            ending = ending_of(query.get("FORMAT", query.get("RESPONSEFORMAT", "")))
        await run_in_threadpool(service.check, asker, targets)
        name = _file_name(targets, ending)
        headers = {
            "Content-Disposition": f"attachment; filename=\"{_plain(name)}\"; filename*=UTF-8''{quote(name, safe='')}",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-store",
        }
        if request.method == "HEAD":
            return Response(media_type=MEDIA_TYPES[ending], headers=headers)
        return StreamingResponse(
            service.open(asker, targets, ending), media_type=MEDIA_TYPES[ending], headers=headers
        )

    def _granted(slip: str) -> tuple[Asker | None, Sequence[VOSPath], str]:
        grant = context.grants.read(slip, frozenset({_ACTION}))
        note = json.loads(grant.note)
        if "job" not in note:
            return grant.asker, [VOSPath(tuple(names)) for names in note["targets"]], note["ending"]
        job = context.jobs.find(note["job"])
        if job is None:
            raise NotFound("The list of what to pack is gone.", code="job_not_found", remedy="Ask again.")
        return grant.asker, service.targets(parse_transfer(job.document.encode())), note["ending"]

    return endpoint


def package_url(
    context: Context,
    home: str,
    transfer: TransferDocument,
    who: Principal | None,
    asker: Asker | None,
    *,
    job_id: str = "",
) -> str:
    """Return a pre-authorised address of the package that a transfer asks for.

    `home` is the URL of the service; `job_id` that of a job which has the transfer as its document.

    Raises:
        NotFound, Forbidden, Unauthorized, Invalid: it cannot be packed.
    """
    service = Packages(space=context.service)
    if not transfer.protocols:
        transfer = replace(transfer, protocols=[Protocol(uri=CORE + "httpsget")])
    offered(transfer)
    ending = format_of(transfer)
    targets = service.targets(transfer)
    service.check(asker, targets)
    note: dict[str, object] = {"ending": ending, "targets": [path.names for path in targets]}
    if len(json.dumps(note)) > _MAX_IN_ADDRESS:
        if who is None:
            raise Invalid(
                "These are too many nodes for somebody who is not signed in.",
                code="invalid_argument",
                facts={"targets": len(targets)},
                remedy="Sign in, or ask for fewer at a time.",
            )
        if not job_id:
            job_id = context.jobs.create(who, JobKind.TRANSFER, transfer_element(transfer), run=True).id
        note = {"ending": ending, "job": job_id}
    slip = context.grants.issue(_ACTION, targets[0], asker, json.dumps(note))
    return f"{home}/pkg/{GRANT}{slip}/{quote(_file_name(targets, ending), safe='')}"


def _file_name(targets: Sequence[VOSPath], ending: str) -> str:
    stem = safe(targets[0].name or "vospace") if len(targets) == 1 else "vospace"
    return f"{stem[:200]}.{ending}"


def _plain(name: str) -> str:
    return "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in name
    )
