"""Whether a server may run on this cloud's one computer."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from armillary.base.units import GiB
from armillary.cloud import store
from armillary.cloud.compute.model import Server
from armillary.cloud.compute.server_groups import kept_apart
from armillary.cloud.core.quota import no_room
from armillary.cloud.model import Capacity
from armillary.cloud.volumes.store import gigabytes_placed


def placed(connection: Connection) -> list[Server]:
    """The servers that count against the cloud's capacity now."""
    return store.SERVERS.find(connection, store.servers.c.placed)


def no_place(connection: Connection, capacity: Capacity, server: Server) -> str | None:
    """Why a server may not be placed, in Nova's words and our figures; None if it may."""
    apart = kept_apart(connection, server)
    if apart is not None:
        return apart
    # volumes lie on the same disk
    left = replace(capacity, disk=GiB(capacity.disk - gigabytes_placed(connection)))
    others = [other for other in placed(connection) if other.id != server.id]
    return no_room(left, [other.footprint for other in others], server.footprint)
