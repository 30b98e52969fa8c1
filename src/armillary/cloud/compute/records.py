"""Reading and changing servers' records, inside the caller's transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from armillary.accounts.model import Principal
from armillary.base.clock import Clock, to_iso
from armillary.base.errors import Conflict, NotFound
from armillary.base.ids import ServerId
from armillary.cloud import store
from armillary.cloud.access import sees
from armillary.cloud.compute.model import Fault, InstanceAction, Server
from armillary.cloud.core.states import refusal


def alive(connection: Connection, server_id: str) -> Server | None:
    """A server that is not deleted, or None."""
    server = store.SERVERS.get(connection, server_id)
    return server if server is not None and server.deleted_at is None else None


def own(connection: Connection, principal: Principal, server_id: str) -> Server:
    """A server that the principal may see.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    server = alive(connection, server_id)
    if server is None or not sees(principal, server.project_id):
        raise NotFound(f"Instance {server_id} could not be found.", code="instance_not_found")
    return server


_THOUGH_LOCKED = frozenset({"createImage", "createBackup"})
"""A lock is against changes and deletion by accident, as in Nova: copies may be made."""


def check_action(principal: Principal, server: Server, action: str) -> None:
    """Let an action pass that the server's lock and state allow.

    Raises:
        Conflict: in Nova's words.
    """
    if action not in _THOUGH_LOCKED:
        check_unlocked(principal, server)
    refused = refusal(action, server.vm_state, server.task_state)
    if refused is not None:
        raise Conflict(
            refused % server.id,
            code="instance_invalid_state",
            facts={"vm_state": server.vm_state.value, "task_state": server.task_state},
        )
    if not server.charged:
        raise Conflict(
            f"Cannot '{action}' instance {server.id}: it never came up, or its disks are gone.",
            code="instance_not_ready",
            remedy="Delete it and make a new one.",
        )


def check_unlocked(principal: Principal, server: Server) -> None:
    """Let everything pass on a server that is not locked; administrators pass always.

    Raises:
        Conflict: it is locked.
    """
    if server.locked and not principal.is_cloud_admin:
        raise Conflict(
            f"Instance {server.id} is locked",
            code="instance_locked",
            remedy="Unlock it (openstack server unlock).",
        )


def save(connection: Connection, clock: Clock, server: Server, **changes: Any) -> Server:
    """Write a server with changes, and return it."""
    server = replace(server, **changes, updated_at=clock.now())
    store.SERVERS.save(connection, server)
    return server


def fault(clock: Clock, message: str) -> Fault:
    """A fault of now."""
    return Fault(code=500, message=message, created=to_iso(clock.now()))


def note_action(
    connection: Connection, clock: Clock, principal: Principal, server: Server, action: str, request_id: str
) -> None:
    """Write down that somebody began to do something to a server."""
    now = clock.now()
    if store.ACTIONS.get(connection, request_id, server.id, action) is None:
        store.ACTIONS.add(
            connection,
            InstanceAction(
                id=request_id,
                server_id=server.id,
                action=action,
                project_id=server.project_id,
                user_id=principal.person.id,
                started_at=now,
                updated_at=now,
                finished=False,
                message=None,
            ),
        )


def finish_actions(
    connection: Connection, clock: Clock, server_id: ServerId, error: str | None = None
) -> None:
    """Write down how what was begun has ended."""
    columns = store.actions.c
    for action in unfinished(connection, server_id):
        done = replace(action, finished=True, updated_at=clock.now(), message=error)
        store.ACTIONS.save(connection, done, columns.finished.is_(False))


def unfinished(connection: Connection, server_id: ServerId) -> list[InstanceAction]:
    """What was begun on a server and has not ended."""
    columns = store.actions.c
    rows = connection.execute(
        store.actions.select().where(columns.server_id == server_id, columns.finished.is_(False))
    )
    return [InstanceAction(**row) for row in rows.mappings()]
