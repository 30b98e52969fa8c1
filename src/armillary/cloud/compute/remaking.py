"""Machines that are made anew: rebuilt from an image, or resized to another flavor."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from armillary.base.errors import ArmillaryError
from armillary.base.ids import ServerId
from armillary.cloud.compute.model import Server, TaskState, VmState
from armillary.cloud.compute.store import MIGRATIONS, migrations
from armillary.cloud.compute.work import Workbench, foreign_code, words

log = logging.getLogger(__name__)

_RESIZING = (TaskState.RESIZE_PREP, TaskState.RESIZE_MIGRATING, TaskState.RESIZE_FINISH)


class Remaking:
    """Rebuilds and resizes machines, and records what came of it."""

    def __init__(self, *, bench: Workbench) -> None:
        self._bench = bench

    def rebuild(self, server_id: ServerId) -> None:
        """Give a machine a new root disk from the image that stands in its record, and run it as before."""
        server = self._bench.task(server_id, TaskState.REBUILDING)
        if server is None:
            return
        machines = self._bench.machines
        try:
            with foreign_code():
                machines.stop(server_id, hard=True)
                if not server.from_volume:
                    machines.forget_root(server_id)
                machines.boot(self._bench.spec(server))
                if server.resting is VmState.STOPPED:
                    machines.stop(server_id)
        except (ArmillaryError, OSError) as error:
            self._bench.settle(server, VmState.ERROR, error=words(error), resting=None, admin_pass=None)
            return
        now = self._bench.clock.now()
        self._bench.settle(server, _rest(server), resting=None, admin_pass=None, launched_at=now)

    # resize

    def resize(self, server_id: ServerId) -> None:
        """Set a machine's root disk aside, and run it in its new size on a copy."""
        server = self._bench.task(server_id, *_RESIZING)
        if server is None:
            return
        machines = self._bench.machines
        try:
            with foreign_code():
                # each step is journalled: one that was taken is not taken again after a kill
                if server.task_state is TaskState.RESIZE_PREP:
                    machines.stop(server_id)
                    server = self._bench.advance(server, TaskState.RESIZE_MIGRATING)
                if server is not None and server.task_state is TaskState.RESIZE_MIGRATING:
                    machines.keep_root(server_id)
                    server = self._bench.advance(server, TaskState.RESIZE_FINISH)
                if server is None:
                    return
                if server.resting is not VmState.STOPPED:
                    machines.boot(self._bench.spec(server))
        except (ArmillaryError, OSError) as error:
            self._roll_back(server_id, words(error))
            return
        self._note(server_id, "finished")
        self._bench.settle(server, VmState.RESIZED)

    def _roll_back(self, server_id: ServerId, error: str) -> None:
        """The old size again, and why: a resize that fails costs nothing."""
        log.warning("server %s could not be resized: %s", server_id, error)
        server = self._bench.task(server_id, *_RESIZING)
        if server is None:
            return
        before = server.resting or VmState.ACTIVE
        undone = self._return(server)
        self._note(server_id, "error")
        if undone is None:
            self._bench.settle(server, before, error=error, as_fault=False, **_as_before(server))
        else:
            self._bench.settle(server, VmState.ERROR, error=f"{error} {undone}", **_as_before(server))

    def _return(self, server: Server) -> str | None:
        """Run a machine in its old size on its old disk; why that failed."""
        machines, old = self._bench.machines, _as_before(server)
        try:
            with foreign_code():
                machines.stop(server.id, hard=True)
                machines.restore_root(server.id)
                if server.resting is not VmState.STOPPED:
                    machines.boot(self._bench.spec(replace(server, **old)))
        except (ArmillaryError, OSError) as error:
            return words(error)
        return None

    def confirm(self, server_id: ServerId) -> None:
        """Forget the old root disk."""
        server = self._bench.task(server_id, TaskState.RESIZE_CONFIRMING)
        if server is None:
            return
        try:
            with foreign_code():
                self._bench.machines.settle_root(server_id)
        except (ArmillaryError, OSError) as error:
            self._bench.settle(server, VmState.RESIZED, error=words(error), as_fault=False)
            return
        self._note(server_id, "confirmed")
        self._bench.settle(server, _rest(server), resting=None, old_flavor=None)

    def revert(self, server_id: ServerId) -> None:
        """Go back to the old size and the old root disk."""
        server = self._bench.task(server_id, TaskState.RESIZE_REVERTING)
        if server is None:
            return
        error = self._return(server)
        self._note(server_id, "reverted" if error is None else "error")
        after = _rest(server) if error is None else VmState.ERROR
        self._bench.settle(server, after, error=error, **_as_before(server))

    def _note(self, server_id: ServerId, status: str) -> None:
        with self._bench.engine.begin() as connection:
            found = MIGRATIONS.find(connection, migrations.c.server_id == server_id)
            if found:
                now = self._bench.clock.now()
                MIGRATIONS.save(connection, replace(found[-1], status=status, updated_at=now))


def _rest(server: Server) -> VmState:
    """What a server goes back to: it is stopped again if it was."""
    return VmState.STOPPED if server.resting is VmState.STOPPED else VmState.ACTIVE


def _as_before(server: Server) -> dict[str, Any]:
    """The fields of a server before its resize."""
    return {"flavor": server.old_flavor or server.flavor, "old_flavor": None, "resting": None}
