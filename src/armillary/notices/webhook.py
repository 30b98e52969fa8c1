"""Tells by a POST: JSON, signed, to where the Internet or the operator lets us go. Redirects are not followed."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import threading
from contextlib import closing

from armillary.base.clock import Clock
from armillary.base.errors import Invalid, Unavailable
from armillary.base.outward import Outward
from armillary.base.places import place_of
from armillary.notices.model import Delivery


def key_of(secret: bytes, owner: str) -> str:
    """Return the key that signs what is told to a person's addresses."""
    return hmac.new(secret, f"webhook {owner}".encode(), hashlib.sha256).hexdigest()


def signature(key: str, at: str, body: bytes) -> str:
    """Return the value of `X-Armillary-Signature`: HMAC-SHA256 over the timestamp, a dot, and the body."""
    return "sha256=" + hmac.new(key.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()


class Webhook:
    """Sends one delivery. It has arrived when the other side answers 2xx."""

    def __init__(self, *, way: Outward, secret: bytes, clock: Clock, seconds: float = 10) -> None:
        self._way = way
        self._secret = secret
        self._clock = clock
        self._seconds = seconds

    def __call__(self, delivery: Delivery) -> None:
        """Raise ArmillaryError when it did not arrive."""
        place = place_of(delivery.target)
        body = json.dumps(dict(delivery.body)).encode()
        at = str(int(self._clock.now().timestamp()))
        headers = {
            "Host": place.netloc,
            "Content-Type": "application/json",
            "User-Agent": "Armillary",
            "Connection": "close",
            "X-Armillary-Delivery": delivery.id,
            "X-Armillary-Event": delivery.kind,
            "X-Armillary-Timestamp": at,
            "X-Armillary-Signature": signature(key_of(self._secret, delivery.owner), at, body),
        }
        try:
            with closing(self._way.connect(place, seconds=self._seconds)) as connection:
                # A server that sends a byte now and then must not hold us for ever.
                timer = threading.Timer(2 * self._seconds, connection.cut)
                timer.start()
                try:
                    connection.request("POST", place.request, body=body, headers=headers)
                    status = connection.getresponse().status
                finally:
                    timer.cancel()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"{place.host} cannot be reached: {str(error)[:200] or type(error).__name__}", code="not_told"
            ) from error
        if not 200 <= status < 300:
            raise Unavailable(f"{place.host} answers {status}", code="not_told", facts={"status": status})


def check_url(url: str) -> None:
    """Raise Invalid `bad_notify_url` unless this is an address that a notice can go to."""
    try:
        place_of(url)
    except Invalid as error:
        raise Invalid(
            f"notify_url is no address of http or https: {url[:200]}",
            code="bad_notify_url",
            facts={"notify_url": url[:200]},
            remedy="Write it like https://example.org/done, escaped, without a password.",
        ) from error
