"""Whether a server may run on this cloud's one computer."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from armillary.base.units import GiB, MiB
from armillary.cloud import store
from armillary.cloud.compute.hosts import closed
from armillary.cloud.compute.model import Flavor, Server
from armillary.cloud.compute.quotas import placed_amounts
from armillary.cloud.compute.server_groups import kept_apart
from armillary.cloud.core.quota import no_room
from armillary.cloud.model import Capacity
from armillary.cloud.volumes.store import gigabytes_placed


def no_place(connection: Connection, capacity: Capacity, server: Server) -> str | None:
    """Why a server may not be placed, in Nova's words and our figures; None if it may.

    A server that has a place, and is to be of another size, gives that place up.
    """
    known = store.SERVERS.get(connection, server.id)
    own = known.footprint if known is not None and known.placed else None
    refused = (closed(connection) if own is None else None) or kept_apart(connection, server)
    if refused is not None:
        return refused
    used, disk = placed_amounts(connection)
    others = Flavor(
        id="",
        name="all others together",
        vcpus=used.cores - (own.vcpus if own else 0),
        ram=MiB(used.ram - (own.ram if own else 0)),
        disk=GiB(disk - (own.disk + own.ephemeral if own else 0)),
        ephemeral=GiB(0),
        swap=MiB(0),
    )
    # volumes lie on the same disk
    left = replace(capacity, disk=GiB(capacity.disk - gigabytes_placed(connection)))
    return no_room(left, [others], server.footprint)
