"""What the platform, or the way to it, refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.base.errors import ArmillaryError


class ClientError(ArmillaryError):
    """A refusal that came over the wire. `answered` is the HTTP status, 0 when there was no answer at all."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        answered: int,
        remedy: str = "",
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code, remedy=remedy, facts=facts)
        self.answered = answered

    def as_dict(self) -> dict[str, Any]:
        shape = super().as_dict()
        shape["error"]["status"] = self.answered
        return shape


class Unreachable(ClientError):
    """There is no answer: no network, no platform, or no trust in its certificate. Trying again may help."""

    def __init__(self, message: str, *, code: str = "unreachable", remedy: str = "") -> None:
        super().__init__(message, code=code, answered=0, remedy=remedy)
