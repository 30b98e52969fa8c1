"""Every refusal carries a code, an HTTP status, the facts and one remedy.

A service raises these; each API renders them in the shape of the protocol that it speaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class ArmillaryError(Exception):
    """A refusal that a person can act on.

    Attributes:
        code: a stable name in snake case, documented in the reference.
        status: the HTTP status that fits.
        message: what was wrong, one sentence, without the remedy.
        facts: the figures behind it, ready for JSON.
        remedy: one thing to do, or an empty string when there is none.
    """

    code: str = "internal_error"
    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        remedy: str = "",
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.facts = dict(facts or {})
        if code:
            self.code = code

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON shape of our own APIs: `{"error": {code, status, message, facts, remedy}}`."""
        return {
            "error": {
                "code": self.code,
                "status": self.status,
                "message": self.message,
                "facts": self.facts,
                "remedy": self.remedy,
            }
        }


class Invalid(ArmillaryError):
    """The request cannot be understood or breaks a rule of the language."""

    code = "invalid"
    status = 400


class Unauthorized(ArmillaryError):
    """Who asks is not known, or the credential is wrong, revoked or expired."""

    code = "unauthorized"
    status = 401


class Forbidden(ArmillaryError):
    """Who asks is known and may not."""

    code = "forbidden"
    status = 403


class QuotaExceeded(Forbidden):
    """The request does not fit into what was granted."""

    code = "quota_exceeded"


class NotFound(ArmillaryError):
    """There is no such thing, or the caller may not know of it."""

    code = "not_found"
    status = 404


class Conflict(ArmillaryError):
    """The thing exists already, or is in a state that does not allow this."""

    code = "conflict"
    status = 409


class PreconditionFailed(ArmillaryError):
    """A checksum or a condition sent with the request does not hold."""

    code = "precondition_failed"
    status = 412


class TooLarge(ArmillaryError):
    """The request is over a limit."""

    code = "too_large"
    status = 413


class TooManyRequests(ArmillaryError):
    """Who asks has asked too often, and may come back: `facts["retry_after"]` has the seconds."""

    code = "too_many_requests"
    status = 429


class Unavailable(ArmillaryError):
    """Something that we need is out of reach or full for now."""

    code = "unavailable"
    status = 503


class NoCapacity(Unavailable):
    """The machine has no room for this."""

    code = "no_capacity"


class OutOfSpace(ArmillaryError):
    """The disk is full."""

    code = "out_of_space"
    status = 507
