"""What is done to machines in the background.

Each job reads the record first and acts only if its task still stands there, so that a job may be run twice, or late,
or after a kill, without harm. The task is cleared in the same transaction that writes the outcome.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine

from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError
from armillary.base.ids import ImageId, ServerId
from armillary.cloud import store
from armillary.cloud.compute.model import Server, TaskState, VmState
from armillary.cloud.compute.ports import Images
from armillary.cloud.compute.quotas import placed
from armillary.cloud.compute.records import alive, fault, finish_actions, save
from armillary.cloud.compute.strands import Job, Strands
from armillary.cloud.core.plan import port_spec
from armillary.cloud.core.quota import no_room
from armillary.cloud.model import MachineSpec, PortSpec
from armillary.cloud.network.desk import Desk
from armillary.cloud.network.fabric import FabricKeeper
from armillary.cloud.network.ports import unplug
from armillary.cloud.ports import BootFailed, Machines

log = logging.getLogger(__name__)

_BOOTING = (TaskState.SCHEDULING, TaskState.SPAWNING)


class Lifecycle:
    """Boots, stops, restarts, copies and ends machines, and records what came of it."""

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        machines: Machines,
        images: Images,
        desk: Desk,
        keeper: FabricKeeper,
        strands: Strands,
        directory: Path,
        drive: Callable[[Server], Mapping[str, bytes]],
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._machines = machines
        self._images = images
        self._desk = desk
        self._keeper = keeper
        self._strands = strands
        self._directory = directory
        self._drive = drive
        directory.mkdir(parents=True, exist_ok=True)

    def pursue(self, server: Server) -> None:
        """Queue the work that a server's task stands for."""
        work: dict[TaskState, tuple[Job, bool]] = {
            TaskState.SCHEDULING: (lambda: self.boot(server.id), False),
            TaskState.SPAWNING: (lambda: self.boot(server.id), False),
            TaskState.POWERING_ON: (lambda: self.start(server.id), False),
            TaskState.POWERING_OFF: (lambda: self.stop(server.id), True),
            TaskState.REBOOTING: (lambda: self.reboot(server.id), True),
            TaskState.REBOOTING_HARD: (lambda: self.reboot(server.id), False),
            TaskState.IMAGE_SNAPSHOT: (lambda: self.snapshot(server.id), True),
            TaskState.DELETING: (lambda: self.destroy(server.id), False),
        }
        if server.task_state is not None:
            job, slow = work[server.task_state]
            self._strands.submit(server.id, job, slow=slow)

    def boot(self, server_id: ServerId) -> None:
        """Place a new server, and run its machine."""
        with self._engine.begin() as connection:
            server = _with_task(connection, server_id, *_BOOTING)
            if server is None:
                return
            if not server.placed:
                others = [other.flavor for other in placed(connection)]
                refused = no_room(self._machines.capacity(), others, server.flavor)
                if refused is not None:
                    self._give_up(connection, server, refused)
                    return
            server = save(connection, self._clock, server, placed=True, task_state=TaskState.SPAWNING)
        self._keeper.poke()
        try:
            with _foreign_code():
                self._machines.boot(self._spec(server))
        except (ArmillaryError, OSError) as error:
            self._boot_failed(server_id, _words(error))
            return
        with self._engine.begin() as connection:
            booted = _with_task(connection, server_id, *_BOOTING)
            if booted is not None:
                now = self._clock.now()
                save(
                    connection, self._clock, booted,
                    vm_state=VmState.ACTIVE, task_state=None, fault=None, launched_at=now,
                )  # fmt: skip
                finish_actions(connection, self._clock, server_id)
        self._keeper.poke()

    def _boot_failed(self, server_id: ServerId, message: str) -> None:
        log.warning("server %s did not boot: %s", server_id, message)
        self._machines.destroy(server_id)
        with self._engine.begin() as connection:
            server = _with_task(connection, server_id, *_BOOTING)
            if server is not None:
                self._give_up(connection, server, message)
        self._keeper.poke()

    def _give_up(self, connection: Connection, server: Server, message: str) -> None:
        """ERROR, and everything that the server took is given back."""
        unplug(self._desk, connection, server.id)
        save(
            connection, self._clock, server,
            vm_state=VmState.ERROR, task_state=None, fault=fault(self._clock, message), charged=False, placed=False,
        )  # fmt: skip
        finish_actions(connection, self._clock, server.id, message)

    def start(self, server_id: ServerId) -> None:
        """Run a stopped server's machine again."""
        server = self._read(server_id, TaskState.POWERING_ON)
        if server is not None:
            self._run_again(server)

    def _run_again(self, server: Server) -> None:
        try:
            with _foreign_code():
                self._machines.boot(self._spec(server))
        except (ArmillaryError, OSError) as error:
            # the disks are there and stay charged; a hard reboot tries again
            self._settle(server, VmState.ERROR, error=_words(error))
            return
        self._settle(server, VmState.ACTIVE)

    def stop(self, server_id: ServerId) -> None:
        """Shut a machine down."""
        server = self._read(server_id, TaskState.POWERING_OFF)
        if server is not None:
            try:
                with _foreign_code():
                    self._machines.stop(server_id)
            except (ArmillaryError, OSError) as error:
                self._settle(server, VmState.ERROR, error=_words(error))
                return
            self._settle(server, VmState.STOPPED)

    def reboot(self, server_id: ServerId) -> None:
        """Restart a machine; a hard reboot also runs one that does not run."""
        server = self._read(server_id, TaskState.REBOOTING, TaskState.REBOOTING_HARD)
        if server is None:
            return
        hard = server.task_state is TaskState.REBOOTING_HARD
        try:
            with _foreign_code():
                self._machines.reboot(server_id, hard=hard)
        except (ArmillaryError, OSError) as error:
            log.info("server %s does not reboot (%s): booting it", server_id, _words(error))
            self._run_again(server)
            return
        self._settle(server, VmState.ACTIVE)

    def snapshot(self, server_id: ServerId) -> None:
        """Copy a machine's root disk into the image that waits for it."""
        server = self._read(server_id, TaskState.IMAGE_SNAPSHOT)
        if server is None or server.snapshot_image_id is None:
            return
        image_id, error = server.snapshot_image_id, None
        target = self._directory / f"{image_id}.qcow2"
        try:
            target.unlink(missing_ok=True)  # what an interrupted attempt left
            with _foreign_code():
                self._machines.snapshot(server_id, target)
                self._images.commit_snapshot(image_id, target)
        except (ArmillaryError, OSError) as caught:
            error = _words(caught)
            self._abandon(image_id, error)
        finally:
            target.unlink(missing_ok=True)
        self._settle(server, server.vm_state, error=error, keep_state=True)

    def abandon_snapshot(self, server_id: ServerId) -> None:
        """Give up a snapshot that was interrupted: its moment has passed."""
        server = self._read(server_id, TaskState.IMAGE_SNAPSHOT)
        if server is None:
            return
        why = "the platform ended while the snapshot was being written"
        if server.snapshot_image_id is not None:
            self._abandon(server.snapshot_image_id, why)
            (self._directory / f"{server.snapshot_image_id}.qcow2").unlink(missing_ok=True)
        self._settle(server, server.vm_state, error=why, keep_state=True)

    def _abandon(self, image_id: ImageId, why: str) -> None:
        log.warning("snapshot %s failed: %s", image_id, why)
        self._images.fail_snapshot(image_id, why)

    def destroy(self, server_id: ServerId) -> None:
        """End a machine, remove its disks, and give back all that it took."""
        server = self._read(server_id, TaskState.DELETING)
        if server is None:
            return
        if server.snapshot_image_id is not None:  # its job never began, or was interrupted; else it is active
            self._images.fail_snapshot(
                server.snapshot_image_id, "the server was deleted before the snapshot began"
            )
        self._machines.destroy(server_id)
        with self._engine.begin() as connection:
            server = _with_task(connection, server_id, TaskState.DELETING)
            if server is not None:
                unplug(self._desk, connection, server_id)
                save(
                    connection, self._clock, server,
                    vm_state=VmState.DELETED, task_state=None, charged=False, placed=False,
                    deleted_at=self._clock.now(),
                )  # fmt: skip
                finish_actions(connection, self._clock, server_id)
        self._keeper.poke()

    def destroy_orphan(self, server_id: ServerId) -> None:
        """End a machine of which no record is left."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            if alive(connection, server_id) is not None:
                return
        log.warning("machine %s belongs to no server: removed", server_id)
        self._machines.destroy(server_id)

    def _read(self, server_id: ServerId, *tasks: TaskState) -> Server | None:
        with self._engine.execution_options(readonly=True).connect() as connection:
            return _with_task(connection, server_id, *tasks)

    def _settle(
        self, server: Server, vm_state: VmState, *, error: str | None = None, keep_state: bool = False
    ) -> None:
        """Write an outcome, unless something else (a deletion) has taken the server over meanwhile."""
        with self._engine.begin() as connection:
            current = alive(connection, server.id)
            if current is None:
                return
            finish_actions(connection, self._clock, server.id, error)
            if current.task_state is not server.task_state:
                return
            why = fault(self._clock, error) if error and not keep_state else None
            save(
                connection, self._clock, current,
                vm_state=vm_state, task_state=None, fault=why, snapshot_image_id=None,
            )  # fmt: skip
        self._keeper.poke()

    def _spec(self, server: Server) -> MachineSpec:
        ports = self._ports(server.id)
        return MachineSpec(
            id=server.id,
            name=server.name,
            vcpus=server.flavor.vcpus,
            ram=server.flavor.ram,
            root_disk=server.flavor.disk,
            ephemeral_disk=server.flavor.ephemeral,
            image_path=self._images.blob(server.image_sha512),
            image_format=server.image_format,
            ports=tuple(ports),
            config_drive=self._drive(server),
        )

    def _ports(self, server_id: ServerId) -> Sequence[PortSpec]:
        with self._engine.execution_options(readonly=True).connect() as connection:
            ports = store.PORTS.find(connection, store.ports.c.device_id == server_id)
            ids = [port.network_id for port in ports]
            networks = {n.id: n for n in store.NETWORKS.find(connection, store.networks.c.id.in_(ids))}
            subnets = {s.id: s for s in store.SUBNETS.find(connection, store.subnets.c.network_id.in_(ids))}
        specs = [port_spec(port, networks[port.network_id], subnets) for port in ports]
        return [spec for spec in specs if spec is not None]


def _with_task(connection: Connection, server_id: ServerId, *tasks: TaskState) -> Server | None:
    server = alive(connection, server_id)
    return server if server is not None and server.task_state in tasks else None


@contextmanager
def _foreign_code() -> Generator[None]:
    """Turn what an engine should not raise into what it may: a server must never hang in a task because of it."""
    try:
        yield
    except (ArmillaryError, OSError):
        raise
    except Exception as error:
        log.exception("an engine failed in an unforeseen way")
        raise BootFailed(f"The engine failed in an unforeseen way: {error}") from error


def _words(error: ArmillaryError | OSError) -> str:
    return error.message if isinstance(error, ArmillaryError) else str(error)
