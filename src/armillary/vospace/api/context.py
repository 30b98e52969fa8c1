"""What every endpoint needs: who asks, under which address, and how a refusal looks."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from armillary.accounts.model import Person, Principal
from armillary.accounts.trail import see
from armillary.base.errors import ArmillaryError, Conflict, Invalid, TooLarge, Unauthorized
from armillary.base.ids import PersonId
from armillary.vospace.core.faults import fault_text, representation
from armillary.vospace.paths import VOSPath
from armillary.vospace.service import Grants, JobService, VOSpaceService
from armillary.vospace.service.views import Views

log = logging.getLogger(__name__)

MAX_DOCUMENT = 1 << 20
Endpoint = Callable[[Request], Awaitable[Response]]

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")
_STATUSES = {
    "quota_exceeded": 413,
    "node_locked": 423,
    "node_frozen": 423,
    "operation_not_supported": 501,
    # tus: the checksum extension has a status of its own, and what is locked can be tried again
    "piece_mismatch": 460,
    "upload_taken_over": 423,
    "upload_busy": 423,
}
"""Where the clients expect another status than our own APIs have."""


class Authenticator(Protocol):
    """Answers who asks (`accounts.api`)."""

    def find(self, connection: Request, /) -> Principal | None:
        """Return who asks, None for a stranger; raises Unauthorized for a credential that is not good."""
        ...

    def holder(self, person_id: PersonId, credential: str, /) -> Person:
        """Return a person as they are now; raises Unauthorized when they, or that credential, are good no more."""
        ...


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the space is called.

    `authority` is our own name in `ivo://` and `vos://` URIs. The stock clients have others built in, which
    work against us too: see `authorities`.
    """

    authority: str = "armillary.example"

    @property
    def authorities(self) -> tuple[str, ...]:
        """All names under which nodes can be addressed, as `authority/service`."""
        owners = dict.fromkeys((self.authority, "opencadc.org", "cadc.nrc.ca"))
        return tuple(f"{owner}/{name}" for owner in owners for name in ("vault", "arc", "cavern"))


@dataclass(frozen=True, kw_only=True)
class Context:
    """The parts that the endpoints use."""

    service: VOSpaceService
    jobs: JobService
    grants: Grants
    authenticator: Authenticator
    now: Callable[[], datetime]
    settings: Settings
    views: Views | None = None
    homes: set[PersonId] = field(default_factory=set[PersonId])
    """People whose homes were seen to exist."""

    async def who(self, request: Request) -> Principal | None:
        """Return who asks, None for a stranger. Somebody who comes for the first time finds a home."""
        return await run_in_threadpool(self.find_who, request)

    def find_who(self, request: Request) -> Principal | None:
        """Return who asks, as `who` does, in a thread."""
        principal = self.authenticator.find(request)
        if principal is not None:
            see(request.scope, principal.person.user_name)
        if principal is not None and principal.person.id not in self.homes:
            # The name of somebody who has left may have been given again; the old home stays the old one's.
            with suppress(Conflict):
                self.service.ensure_home(principal.person)
            self.homes.add(principal.person.id)
        return principal

    async def principal(self, request: Request) -> Principal:
        """Return who asks; strangers are refused."""
        principal = await self.who(request)
        if principal is None:
            raise Unauthorized("This needs you to sign in.", remedy="Get a certificate with cadc-get-cert.")
        return principal

    def authority(self, kind: str) -> str:
        """Return the name of a service in node URIs."""
        return f"{self.settings.authority}~{kind}"


def base_url(request: Request) -> str:
    """Return where the client reached us, by its Host header: inside a VM that is not the name outside.

    Raises:
        Invalid: the header is no host.
    """
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise Invalid("The Host header is not a host.", code="invalid_argument", remedy="Send a good one.")
    return f"{request.url.scheme}://{host}"


def path_after(request: Request, prefix: str) -> VOSPath:
    """Return the node path that follows `prefix` in the URL, from its undecoded form.

    The decoded one is no good: a `%2F` in it would climb, and what is not UTF-8 would become something else.
    """
    return VOSPath.from_url(raw_after(request, prefix))


def raw_after(request: Request, prefix: str) -> bytes:
    """Return what follows `prefix` in the URL's path, undecoded."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return raw.partition(b"?")[0].removeprefix(prefix.encode())


async def document(request: Request) -> bytes:
    """Return the request's body, which must be small.

    Raises:
        TooLarge: it is larger than a mebibyte.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_DOCUMENT:
            raise TooLarge("The document is larger than 1 MiB.", remedy="Send a smaller one.")
    return bytes(body)


def guarded(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint whose refusals are VOSpace faults: name, what was wrong, and the remedy."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ArmillaryError as error:
            return fault(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except Exception as error:  # what nobody foresaw has its fault in the standard, too
            log.exception("%s %s failed", request.method, request.url.path)
            text = f"{type(error).__name__}. The log of the service says more."
            return PlainTextResponse(representation("InternalFault", text) + "\n", status_code=500)

    return answer


def fault(error: ArmillaryError) -> Response:
    """Return a refusal in the shape of VOSpace."""
    status = _STATUSES.get(error.code, error.status)
    headers = {"x-armillary-code": error.code}
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="Armillary", charset="UTF-8"'
    return PlainTextResponse(fault_text(error) + "\n", status_code=status, headers=headers)
