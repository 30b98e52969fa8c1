"""Bodies of JSON, within bounds."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from armillary.base.errors import Invalid, TooLarge

MOST_JSON = 1 << 20


async def json_body(request: Request) -> Any:
    """Return a body of JSON.

    Raises:
        Invalid: it is none.
        TooLarge: there is more than such a request can need.
    """
    octets = bytearray()
    async for chunk in request.stream():
        octets += chunk
        if len(octets) > MOST_JSON:
            raise TooLarge("The request body is too large.")
    try:
        return json.loads(octets)
    except ValueError as error:
        raise Invalid("Malformed JSON in request body.") from error


def media_type(request: Request) -> str:
    """Return what the body is declared to be, without parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()
