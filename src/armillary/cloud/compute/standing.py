"""Machines that stand still without ending: pause and suspend, and rescue."""

from __future__ import annotations

import logging
from collections.abc import Callable

from armillary.base.errors import ArmillaryError
from armillary.base.ids import ServerId, Sha512
from armillary.cloud.compute.model import Server, TaskState, VmState
from armillary.cloud.compute.work import Workbench, foreign_code, words

log = logging.getLogger(__name__)

_NO_IMAGE = Sha512("")


class Standing:
    """Pauses, suspends and rescues machines, and records what came of it."""

    def __init__(self, *, bench: Workbench) -> None:
        self._bench = bench

    def pause(self, server_id: ServerId) -> None:
        """Stop a machine's processors."""
        self._try(
            server_id, TaskState.PAUSING, VmState.PAUSED, lambda _: self._bench.machines.pause(server_id)
        )

    def unpause(self, server_id: ServerId) -> None:
        """Let a machine's processors turn again."""
        self._try(
            server_id, TaskState.UNPAUSING, VmState.ACTIVE, lambda _: self._bench.machines.unpause(server_id)
        )

    def suspend(self, server_id: ServerId) -> None:
        """Write a machine's memory to disk and end its process."""
        self._try(
            server_id,
            TaskState.SUSPENDING,
            VmState.SUSPENDED,
            lambda _: self._bench.machines.suspend(server_id),
        )

    def resume(self, server_id: ServerId) -> None:
        """Let a machine go on from its memory on disk."""

        def go_on(server: Server) -> None:
            self._bench.machines.resume(self._bench.spec(server))

        self._try(server_id, TaskState.RESUMING, VmState.ACTIVE, go_on)

    def _try(
        self, server_id: ServerId, task: TaskState, after: VmState, do: Callable[[Server], None]
    ) -> None:
        server = self._bench.task(server_id, task)
        if server is None:
            return
        try:
            with foreign_code():
                do(server)
        except (ArmillaryError, OSError) as error:
            # nothing has changed, as the engine promises; the list of actions says why
            log.warning("server %s: %s failed: %s", server_id, task.value, words(error))
            self._bench.settle(server, server.vm_state, error=words(error), as_fault=False)
            return
        self._bench.settle(server, after)

    # rescue

    def rescue(self, server_id: ServerId) -> None:
        """Boot a machine from the rescue image that stands in its record."""
        server = self._bench.task(server_id, TaskState.RESCUING)
        if server is None:
            return
        error = self._run(server)
        if error is None:
            self._bench.settle(server, VmState.RESCUED, admin_pass=None)
            return
        # its own disks are untouched: a hard reboot boots from them
        self._bench.settle(
            server, VmState.ERROR, error=error, rescue_sha512=_NO_IMAGE, resting=None, admin_pass=None
        )

    def unrescue(self, server_id: ServerId) -> None:
        """Boot a machine from its own disk again. Its record names no rescue image any more."""
        server = self._bench.task(server_id, TaskState.UNRESCUING)
        if server is None:
            return
        error = self._run(server)
        self._bench.settle(server, VmState.ACTIVE if error is None else VmState.ERROR, error=error)

    def _run(self, server: Server) -> str | None:
        try:
            with foreign_code():
                # a rescue system has nothing to lose, and neither has a server whose job was interrupted half way
                self._bench.machines.stop(server.id, hard=server.task_state is TaskState.UNRESCUING)
                self._bench.machines.boot(self._bench.spec(server))
        except (ArmillaryError, OSError) as error:
            return words(error)
        return None
