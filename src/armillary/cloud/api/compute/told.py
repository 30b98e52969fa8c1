"""An action as it was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid
from armillary.cloud.api.compute.faults import describe
from armillary.cloud.compute.acting import Doing
from armillary.cloud.compute.service import ComputeService
from armillary.cloud.consoles.service import ConsoleService
from armillary.cloud.network.service import NetworkService

M = TypeVar("M", bound=BaseModel)

ACCEPTED = 202


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a client sent under an action's name, and everything that the action needs."""

    compute: ComputeService
    network: NetworkService
    consoles: ConsoleService
    who: Principal
    server_id: str
    request_id: str
    version: int
    base_url: str
    name: str
    body: Any

    def read(self, kind: type[M]) -> M:
        """The argument, checked.

        Raises:
            Invalid: in Nova's words.
        """
        try:
            return kind.model_validate(self.body if self.body is not None else {})
        except ValidationError as error:
            problem = error.errors()[0]
            raise Invalid(describe({**problem, "loc": (self.name, *problem["loc"])})) from error

    @property
    def doing(self) -> Doing:
        """Who does it to which server."""
        return Doing(principal=self.who, server_id=self.server_id, request_id=self.request_id)


def accepted() -> Response:
    """202, and nothing more to say."""
    return Response(status_code=ACCEPTED)
