"""Turns what the SDK raises into our refusals."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from contextlib import contextmanager
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
    facts = {"cloud": cloud, "status": status}
    if status in (403, 413) and "quota" in message.lower():
        return QuotaExceeded(message, facts=facts, remedy=MORE_QUOTA)
    kinds = {400: Invalid, 403: Forbidden, 404: NotFound, 409: Conflict}
    kind = kinds.get(status)
    if kind:
        return kind(message, facts=facts)
    return Unavailable(
        f"Cloud {cloud} answered {status}: {message}",
        code="cloud_failed",
        facts=facts,
        remedy="Try again in a moment; if it stays, the cloud's own log says more.",
    )
