"""Turns what the SDK raises into our refusals."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from armillary.base.errors import (
    ArmillaryError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    QuotaExceeded,
    Unavailable,
)
from armillary.base.ids import CloudName
from armillary.fleet.capacity import MORE_QUOTA


@contextmanager
def refusals(cloud: CloudName) -> Generator[None]:
    """Raise `ArmillaryError` kinds for whatever goes wrong between us and `cloud` inside the block."""
    sdk: Any = importlib.import_module("openstack.exceptions")
    keystone: Any = importlib.import_module("keystoneauth1.exceptions")
    requests: Any = importlib.import_module("requests.exceptions")
    try:
        yield
    except sdk.HttpException as error:
        raise _from_http(cloud, error) from error
    except (keystone.http.Unauthorized, keystone.http.Forbidden, sdk.ConfigException) as error:
        raise Unavailable(
            f"Cloud {cloud} does not accept our credential: {error}",
            code="cloud_sign_in_failed",
            facts={"cloud": cloud},
            remedy="An administrator checks the entry of this cloud in clouds.yaml.",
        ) from error
    except (sdk.SDKException, keystone.ClientException, requests.RequestException, OSError) as error:
        raise Unavailable(
            f"Cloud {cloud} does not answer: {error}",
            code="cloud_unreachable",
            facts={"cloud": cloud},
            remedy="Try again in a moment; `armillary status` shows which clouds answer.",
        ) from error


def _from_http(cloud: CloudName, error: Any) -> ArmillaryError:
    status = int(error.status_code or 0)
    message = str(error.details or error.message or error)
    facts: dict[str, Any] = {"cloud": cloud, "status": status}
    wait = _retry_after(error)
    # Nova and Cinder say 413 for a quota, too, and then have one wait for no time at all
    if status == 429 or (status == 413 and wait):
        return Unavailable(
            f"Cloud {cloud} has been asked too often: {message}",
            code="cloud_busy",
            facts=facts if wait is None else {**facts, "retry_after": wait},
            remedy="It is asked again when it said that it may be.",
        )
    if status in (403, 413) and "quota" in message.lower():
        return QuotaExceeded(message, facts=facts, remedy=MORE_QUOTA)
    kinds = {400: Invalid, 403: Forbidden, 404: NotFound, 409: Conflict}
    kind = kinds.get(status)
    if kind:
        return kind(message, facts=facts)
    return Unavailable(
        f"Cloud {cloud} answered {status}: {message}",
        code="cloud_failed",
        facts=facts if wait is None else {**facts, "retry_after": wait},
        remedy="Try again in a moment; if it stays, the cloud's own log says more.",
    )


LONGEST_WAIT = 3600.0
"""Seconds; a cloud that wants to be left alone for longer is asked once an hour."""


def _retry_after(error: Any) -> float | None:
    """Return the seconds that the reply says to wait; it may name a moment instead (RFC 9110, 10.2.3)."""
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or {}
    text = str(headers.get("Retry-After") or "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(LONGEST_WAIT, max(0.0, seconds))
