"""Carries bytes to and from other services over http and https.

Each place on the way is judged, redirects anew (`base.outward`). No credential is ever sent along.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import re
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin

from armillary.base.errors import ArmillaryError, Invalid, TooLarge, Unavailable
from armillary.base.outward import JudgedConnection, Outward, Resolver, resolve
from armillary.base.places import Place, place_of
from armillary.vospace.job_ports import Arrival

_CHUNK = 1 << 20
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAME_AGAIN = frozenset({307, 308})


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one errand may cost. `idle_seconds` bounds each single wait, `answer_seconds` that for the head of an
    answer, and `slowest` is in bytes per second, on the average after a while: a server that sends a byte now and
    then must not hold a worker for ever. The job's duration bounds all of it.
    """

    idle_seconds: float = 60
    answer_seconds: float = 120
    slowest: float = 1024
    redirects: int = 5
    octets: int = 1 << 44


class HttpCourier:
    """See `job_ports.Courier`."""

    def __init__(
        self,
        *,
        allowed: Sequence[str] = (),
        resolver: Resolver = resolve,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Go to the Internet, and to what the operator has `allowed` besides: names, addresses, networks."""
        self._way = Outward(
            allowed=allowed, setting="[vospace] third_party_hosts", resolver=resolver, tls=tls
        )
        self._limits = limits or Limits()
        self._now = now

    @contextmanager
    def fetch(self, url: str) -> Generator[Arrival]:
        """See `job_ports.Courier`."""
        for _ in range(self._limits.redirects + 1):
            place = place_of(url)
            with _understood(place), closing(self._connect(place)) as connection:
                connection.request("GET", place.request, headers=_headers(place))
                answer = self._answer(connection)
                if answer.status not in _REDIRECTS:
                    yield self._arrival(place, answer)
                    return
                url = _next(place, url, answer)
        raise _failed(place_of(url), "sends us on and on")

    def send(
        self, url: str, *, length: int, md5: str, content_type: str, chunks: Callable[[], Iterator[bytes]]
    ) -> None:
        """See `job_ports.Courier`."""
        digest = "md5=" + base64.b64encode(bytes.fromhex(md5)).decode()
        for _ in range(self._limits.redirects + 1):
            place = place_of(url)
            headers = {
                **_headers(place),
                "Content-Length": str(length),
                "Content-Type": content_type or "application/octet-stream",
                "Digest": digest,
            }
            with _understood(place), closing(self._connect(place)) as connection:
                connection.request("PUT", place.request, body=chunks(), headers=headers, encode_chunked=False)
                answer = self._answer(connection)
                if answer.status in _SAME_AGAIN:
                    url = _next(place, url, answer)
                    continue
                if not 200 <= answer.status < 300:
                    raise _failed(place, f"answers {answer.status}")
                said = _md5(answer)
                if said and said != md5:
                    raise _failed(place, "has received other bytes than were sent")
                return
        raise _failed(place_of(url), "sends us on and on")

    def _arrival(self, place: Place, answer: http.client.HTTPResponse) -> Arrival:
        if answer.status == 204:
            return Arrival(length=0, md5="", content_type="", chunks=iter(()))
        if answer.status != 200:
            raise _failed(place, f"answers {answer.status}")
        if answer.getheader("Content-Encoding", "identity") != "identity":
            raise _failed(place, "sends the bytes packed")
        md5 = _md5(answer)
        if answer.length is None and not answer.chunked and not md5:
            raise _failed(place, "does not say how many bytes there are")
        if (answer.length or 0) > self._limits.octets:
            raise self._too_large(place)
        return Arrival(
            length=answer.length,
            md5=md5,
            content_type=(answer.getheader("Content-Type") or "")[:200],
            chunks=self._chunks(place, answer),
        )

    def _chunks(self, place: Place, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        began = self._now()
        octets = 0
        # `read` would wait for all of a chunk, and nobody could look meanwhile whether the job is to go on.
        while chunk := answer.read1(_CHUNK):
            octets += len(chunk)
            if octets > self._limits.octets:
                raise self._too_large(place)
            yield chunk
            seconds = self._now() - began
            if seconds > self._limits.idle_seconds and octets < seconds * self._limits.slowest:
                raise _failed(place, "sends too slowly")

    def _answer(self, connection: JudgedConnection) -> http.client.HTTPResponse:
        """Read the head of the answer. The timeout of the connection is one for each line of it, or less."""
        timer = threading.Timer(self._limits.answer_seconds, connection.cut)
        timer.start()
        try:
            return connection.getresponse()
        finally:
            timer.cancel()

    def _connect(self, place: Place) -> JudgedConnection:
        return self._way.connect(place, seconds=self._limits.idle_seconds)

    def _too_large(self, place: Place) -> TooLarge:
        return TooLarge(
            f"{place.host} sends more than the service takes.",
            facts={"host": place.host, "limit": self._limits.octets},
            remedy="Send it in parts.",
        )


@contextmanager
def _understood(place: Place) -> Generator[None]:
    """Say in our words what goes wrong on the way."""
    try:
        yield
    except ArmillaryError:
        raise
    except (OSError, http.client.HTTPException) as error:
        said = str(error) or type(error).__name__
        raise _failed(place, f"cannot be reached, or broke off ({said[:200]})") from error


def _next(place: Place, url: str, answer: http.client.HTTPResponse) -> str:
    where = answer.getheader("Location")
    if not where:
        raise _failed(place, "sends us on to nowhere")
    target = urljoin(url, where)
    if place.scheme == "https" and not target.startswith("https:"):
        raise _failed(place, "sends us on to where nothing is encrypted")
    return target


def _headers(place: Place) -> dict[str, str]:
    return {
        "Host": place.netloc,
        "User-Agent": "Armillary",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }


def _md5(answer: http.client.HTTPResponse) -> str:
    """Return the MD5 that an answer brings along, in hexadecimal digits; empty when there is none."""
    for part in (answer.getheader("Digest") or "").split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "md5":
            if re.fullmatch(r"[0-9a-fA-F]{32}", value):
                return value.lower()
            try:
                return base64.b64decode(value, validate=True).hex()
            except binascii.Error as error:
                raise Invalid("The other service's Digest cannot be read.", code="transfer_failed") from error
    return ""


def _failed(place: Place, what: str) -> Unavailable:
    return Unavailable(
        f"{place.host} {what}.",
        code="transfer_failed",
        facts={"host": place.host},
        remedy="Look whether it can be reached, and ask again.",
    )
