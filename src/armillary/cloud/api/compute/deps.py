"""What the routes of compute are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import Depends, Request

from armillary.base.errors import NotFound
from armillary.base.ids import ServerId
from armillary.cloud.api.compute.views import Sight
from armillary.cloud.compute.model import Server
from armillary.cloud.compute.service import ComputeService
from armillary.cloud.network.service import NetworkService
from armillary.cloud.network.sight import Nic, nics_of


async def _compute(request: Request) -> ComputeService:
    return request.app.state.compute


async def _network(request: Request) -> NetworkService:
    return request.app.state.network


async def _base_url(request: Request) -> str:
    return request.app.state.base_url


async def _microversion(request: Request) -> int:
    return request.state.microversion


# coroutines, though they wait for nothing: FastAPI sends plain functions to a thread, one trip each

Compute = Annotated[ComputeService, Depends(_compute)]
Network = Annotated[NetworkService, Depends(_network)]
BaseUrl = Annotated[str, Depends(_base_url)]
"""Where compute is, without the version."""
Version = Annotated[int, Depends(_microversion)]
"""N of the microversion 2.N."""


def nics(network: NetworkService, servers: Sequence[Server]) -> Mapping[ServerId, Sequence[Nic]]:
    """The network cards of servers."""
    return nics_of(network.desk, [server.id for server in servers])


def sights(
    compute: ComputeService, network: NetworkService, servers: Sequence[Server]
) -> Mapping[ServerId, Sight]:
    """What the views of servers show beside their records, in a few queries for all of them."""
    cards = nics(network, servers)
    disks = compute.lists.volumes([server.id for server in servers])
    return {s.id: Sight(nics=cards.get(s.id, ()), volumes=disks.get(s.id, ())) for s in servers}


def since(version: int, needed: int) -> None:
    """Hide what came with a later microversion, as Nova does.

    Raises:
        NotFound: the client asked with an earlier one.
    """
    if version < needed:
        raise NotFound("The resource could not be found.")


def until(version: int, last: int) -> None:
    """Hide what went with a later microversion.

    Raises:
        NotFound: the client asked with a later one.
    """
    if version > last:
        raise NotFound("The resource could not be found.")
