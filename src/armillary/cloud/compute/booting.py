"""Booting, starting, stopping, restarting and ending machines."""

from __future__ import annotations

import logging

from sqlalchemy import Connection

from armillary.base.errors import ArmillaryError
from armillary.base.ids import ServerId
from armillary.cloud.compute.disks import Disks, wanted_volumes
from armillary.cloud.compute.model import Server, TaskState, VmState
from armillary.cloud.compute.placing import no_place
from armillary.cloud.compute.records import fault, finish_actions, save
from armillary.cloud.compute.warming import Warming
from armillary.cloud.compute.work import Workbench, foreign_code, with_task, words

log = logging.getLogger(__name__)

_BOOTING = (TaskState.SCHEDULING, TaskState.BLOCK_DEVICE_MAPPING, TaskState.SPAWNING)
_STANDING_STILL = frozenset({VmState.PAUSED, VmState.SUSPENDED})


class Booting:
    """Runs and ends machines, and records what came of it."""

    def __init__(self, *, bench: Workbench, disks: Disks, warming: Warming) -> None:
        self._bench = bench
        self._disks = disks
        self._warming = warming

    # a new server

    def boot(self, server_id: ServerId) -> None:
        """Place a new server, and run its machine; one that waits for volumes waits in a thread for long work."""
        server = self._place(server_id)
        if server is None:
            return
        if server.task_state is TaskState.BLOCK_DEVICE_MAPPING:
            self._bench.strands.submit(server_id, lambda: self._boot_with_volumes(server), slow=True)
        else:
            self._run_new(server)

    def _place(self, server_id: ServerId) -> Server | None:
        bench = self._bench
        with bench.engine.begin() as connection:
            server = with_task(connection, server_id, *_BOOTING)
            if server is None:
                return None
            refused = None if server.placed else no_place(connection, bench.machines.capacity(), server)
            if refused is None:
                wants = bool(wanted_volumes(connection, server_id))
                task = TaskState.BLOCK_DEVICE_MAPPING if wants else TaskState.SPAWNING
                server = save(connection, bench.clock, server, placed=True, task_state=task)
            else:
                self._give_up(connection, server, refused)
        if refused is not None:
            self._disks.release(server_id)
            return None
        bench.keeper.poke()
        return server

    def _boot_with_volumes(self, server: Server) -> None:
        current = self._bench.task(server.id, TaskState.BLOCK_DEVICE_MAPPING)
        if current is None:
            return
        try:
            with foreign_code():
                ready = self._disks.prepare(current)
        except (ArmillaryError, OSError) as error:
            self._failed(server.id, words(error))
            return
        spawning = self._bench.advance(current, TaskState.SPAWNING) if ready else None
        if spawning is not None:
            self._run_new(spawning)

    def _run_new(self, server: Server) -> None:
        bench = self._bench
        try:
            with foreign_code():
                spec = bench.spec(server)
                bench.machines.boot(spec)
                self._disks.finish(server)
        except (ArmillaryError, OSError) as error:
            self._failed(server.id, words(error))
            return
        with bench.engine.begin() as connection:
            booted = with_task(connection, server.id, *_BOOTING)
            if booted is not None:
                save(
                    connection, bench.clock, booted,
                    vm_state=VmState.ACTIVE, task_state=None, fault=None, launched_at=bench.clock.now(),
                    admin_pass=None,
                )  # fmt: skip
                finish_actions(connection, bench.clock, server.id)
        bench.keeper.poke()
        self._warming.prepare(spec)

    def _failed(self, server_id: ServerId, message: str) -> None:
        log.warning("server %s did not boot: %s", server_id, message)
        self._bench.machines.destroy(server_id)
        with self._bench.engine.begin() as connection:
            server = with_task(connection, server_id, *_BOOTING)
            if server is not None:
                self._give_up(connection, server, message)
        if server is not None:
            self._disks.release(server_id)
        self._bench.keeper.poke()

    def _give_up(self, connection: Connection, server: Server, message: str) -> None:
        """ERROR, and everything that the server took is given back."""
        clock = self._bench.clock
        self._bench.give_back(connection, server)
        save(
            connection, clock, server,
            vm_state=VmState.ERROR, task_state=None, fault=fault(clock, message), charged=False, placed=False,
            admin_pass=None,
        )  # fmt: skip
        finish_actions(connection, clock, server.id, message)

    # a server that is there

    def start(self, server_id: ServerId) -> None:
        """Run a stopped server's machine again."""
        server = self._bench.task(server_id, TaskState.POWERING_ON)
        if server is not None:
            self._run_again(server)

    def _run_again(self, server: Server) -> None:
        try:
            with foreign_code():
                self._bench.machines.boot(self._bench.spec(server))
        except (ArmillaryError, OSError) as error:
            # the disks are there and stay charged; a hard reboot tries again
            self._bench.settle(server, VmState.ERROR, error=words(error))
            return
        self._bench.settle(server, VmState.ACTIVE)

    def stop(self, server_id: ServerId) -> None:
        """Shut a machine down."""
        server = self._bench.task(server_id, TaskState.POWERING_OFF)
        if server is None:
            return
        try:
            with foreign_code():
                self._bench.machines.stop(server_id)
        except (ArmillaryError, OSError) as error:
            self._bench.settle(server, VmState.ERROR, error=words(error))
            return
        self._bench.settle(server, VmState.STOPPED)

    def reboot(self, server_id: ServerId) -> None:
        """Restart a machine; a hard reboot also runs one that does not run, or stands still."""
        server = self._bench.task(server_id, TaskState.REBOOTING, TaskState.REBOOTING_HARD)
        if server is None:
            return
        hard = server.task_state is TaskState.REBOOTING_HARD
        try:
            with foreign_code():
                if server.vm_state in _STANDING_STILL:
                    self._bench.machines.stop(server_id, hard=True)
                    self._bench.machines.boot(self._bench.spec(server))
                else:
                    self._bench.machines.reboot(server_id, hard=hard)
        except (ArmillaryError, OSError) as error:
            log.info("server %s does not reboot (%s): booting it", server_id, words(error))
            self._run_again(server)
            return
        self._bench.settle(server, VmState.ACTIVE)

    # the end

    def destroy(self, server_id: ServerId) -> None:
        """End a machine, remove its disks, and give back all that it took."""
        bench = self._bench
        server = bench.task(server_id, TaskState.DELETING)
        if server is None:
            return
        if server.snapshot_image_id is not None:  # its job never began, or was interrupted; else it is active
            why = "the server was deleted before the snapshot began"
            bench.images.fail_snapshot(server.snapshot_image_id, why)
        if server.shelved_image_id is not None:  # as Nova: what it was shelved in ends with it
            bench.images.drop(server.shelved_image_id)
        bench.machines.destroy(server_id)
        self._disks.release(server_id)
        with bench.engine.begin() as connection:
            server = with_task(connection, server_id, TaskState.DELETING)
            if server is not None:
                bench.give_back(connection, server)
                save(
                    connection, bench.clock, server,
                    vm_state=VmState.DELETED, task_state=None, charged=False, placed=False,
                    deleted_at=bench.clock.now(), admin_pass=None,
                )  # fmt: skip
                finish_actions(connection, bench.clock, server_id)
        bench.keeper.poke()

    def destroy_orphan(self, server_id: ServerId) -> None:
        """End a machine of which no record is left."""
        if self._bench.known(server_id):
            return
        log.warning("machine %s belongs to no server: removed", server_id)
        self._bench.machines.destroy(server_id)
