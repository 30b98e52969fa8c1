"""What the routes of the network API are given."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from armillary.accounts.model import Principal
from armillary.cloud.api.shared import Caller
from armillary.cloud.network.service import NetworkService


def _network(request: Request) -> NetworkService:
    return request.app.state.network


Network = Annotated[NetworkService, Depends(_network)]


def _member(who: Caller, network: Network) -> Principal:
    """Who asks; a project that looks for the first time finds its first network."""
    if who.project is not None:
        network.furnish(who.project)
    return who


Member = Annotated[Principal, Depends(_member)]
