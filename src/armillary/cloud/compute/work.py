"""What every kind of work on machines needs: the record behind a task, the machine's description, the outcome.

Each job reads the record first and acts only if its task still stands there, so that a job may be run twice, or late,
or after a kill, without harm. The task is cleared in the same transaction that writes the outcome.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError
from armillary.base.ids import ServerId
from armillary.cloud import store
from armillary.cloud.compute.model import BlockDevice, DeviceState, Server, TaskState, VmState
from armillary.cloud.compute.ports import Images, Projects, Volumes
from armillary.cloud.compute.records import alive, fault, finish_actions, save
from armillary.cloud.compute.store import BLOCK_DEVICES, INTERFACES, devices_of, interfaces
from armillary.cloud.compute.strands import Strands
from armillary.cloud.core.block_devices import ephemeral_of, swap_of
from armillary.cloud.core.plan import port_spec
from armillary.cloud.model import MachineSpec, PortSpec, RescueSpec, Template, VolumeSpec
from armillary.cloud.network.desk import Desk
from armillary.cloud.network.fabric import FabricKeeper
from armillary.cloud.network.ports import unplug
from armillary.cloud.ports import BootFailed, Hypervisor

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """Shared by all that is done to machines in the background."""

    engine: Engine
    clock: Clock
    machines: Hypervisor
    projects: Projects
    images: Images
    volumes: Volumes
    desk: Desk
    keeper: FabricKeeper
    strands: Strands
    directory: Path
    """of copies that are being written"""
    drive: Callable[[Server], Mapping[str, bytes]]
    """The files of a server's config drive."""
    template: Callable[[Server], Template | None] = lambda _: None
    """That a server may begin from a checkpoint of."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that only reads."""
        return self.engine.execution_options(readonly=True).connect()

    def task(self, server_id: ServerId, *tasks: TaskState) -> Server | None:
        """A server, if one of these tasks stands in its record."""
        with self.reading() as connection:
            return with_task(connection, server_id, *tasks)

    def known(self, server_id: ServerId) -> bool:
        """Whether there is such a server."""
        with self.reading() as connection:
            return alive(connection, server_id) is not None

    def advance(self, server: Server, task: TaskState, **changes: Any) -> Server | None:
        """Write the next step of a task; None if something else (a deletion) has taken the server over."""
        with self.engine.begin() as connection:
            current = alive(connection, server.id)
            if current is None or current.task_state is not server.task_state:
                return None
            return save(connection, self.clock, current, task_state=task, **changes)

    def settle(
        self,
        server: Server,
        vm_state: VmState,
        *,
        error: str | None = None,
        as_fault: bool = True,
        **changes: Any,
    ) -> None:
        """Write an outcome, unless something else has taken the server over meanwhile.

        Args:
            server: as it was when the job began.
            vm_state: what it is now.
            error: why what was asked for did not come about.
            as_fault: whether the error is shown as the server's fault, or in the list of its actions only.
            changes: further fields of the record.
        """
        with self.engine.begin() as connection:
            current = alive(connection, server.id)
            if current is None:
                return
            finish_actions(connection, self.clock, server.id, error)
            if current.task_state is not server.task_state:
                return
            why = fault(self.clock, error) if error and as_fault else None
            save(connection, self.clock, current, vm_state=vm_state, task_state=None, fault=why, **changes)
        self.keeper.poke()

    def give_back(self, connection: Connection, server: Server) -> None:
        """Take a server's ports away, in the caller's transaction."""
        unplug(self.desk, connection, server.id)
        INTERFACES.remove(connection, interfaces.c.server_id == server.id)

    def devices(self, server_id: ServerId) -> list[BlockDevice]:
        """The disks of a server."""
        with self.reading() as connection:
            return devices_of(connection, server_id)

    def save_device(self, device: BlockDevice) -> bool:
        """Write a disk's record; False if it is gone."""
        with self.engine.begin() as connection:
            return BLOCK_DEVICES.save(connection, device)

    def spec(self, server: Server) -> MachineSpec:
        """The machine of a server, as it should run now."""
        ports, devices = self._ports(server.id), self.devices(server.id)
        rescue = None
        if server.rescue_sha512:
            path = self.images.blob(server.rescue_sha512)
            rescue = RescueSpec(image_path=path, image_format=server.rescue_format)
        return MachineSpec(
            id=server.id,
            name=server.name,
            vcpus=server.flavor.vcpus,
            ram=server.flavor.ram,
            root_disk=server.flavor.disk,
            ephemeral_disk=ephemeral_of(server.flavor, devices),
            swap_disk=swap_of(server.flavor, devices),
            image_path=None if server.from_volume else self.images.blob(server.image_sha512),
            image_format=server.image_format,
            ports=tuple(ports),
            config_drive=self.drive(server),
            volumes=tuple(
                self.volume_spec(d) for d in boot_first(devices) if d.volume_id and d.state in _THERE
            ),
            rescue=rescue,
            template=self.template(server),
        )

    def _ports(self, server_id: ServerId) -> Sequence[PortSpec]:
        with self.reading() as connection:
            ports = store.PORTS.find(connection, store.ports.c.device_id == server_id)
            ids = [port.network_id for port in ports]
            networks = {n.id: n for n in store.NETWORKS.find(connection, store.networks.c.id.in_(ids))}
            subnets = {s.id: s for s in store.SUBNETS.find(connection, store.subnets.c.network_id.in_(ids))}
        specs = [port_spec(port, networks[port.network_id], subnets) for port in ports]
        return [spec for spec in specs if spec is not None]

    def volume_spec(self, device: BlockDevice) -> VolumeSpec:
        """A volume as the machine gets it."""
        assert device.volume_id is not None, "a local disk is no volume"
        disk = self.volumes.disk(device.volume_id)
        return VolumeSpec(
            id=disk.id,
            path=disk.path,
            format=disk.format,
            device=device.device_name,
            boot=device.boot_index == 0,
            readonly=disk.readonly,
        )

    def port(self, server_id: ServerId, port_id: str) -> PortSpec | None:
        """One network card of a server; None if it is not its any more, or no engine could serve it."""
        return next((spec for spec in self._ports(server_id) if spec.id == port_id), None)


_THERE = (DeviceState.WANTED, DeviceState.ATTACHED, DeviceState.DETACHING)
"""States of a disk that a machine has when it starts; one that is being attached is plugged by its own job."""


def boot_first(devices: Sequence[BlockDevice]) -> list[BlockDevice]:
    """Disks in the order of their names, the one that the server boots from first."""
    return sorted(devices, key=lambda d: (d.boot_index != 0, len(d.device_name), d.device_name))


def with_task(connection: Connection, server_id: ServerId, *tasks: TaskState) -> Server | None:
    """A server, if one of these tasks stands in its record, inside the caller's transaction."""
    server = alive(connection, server_id)
    return server if server is not None and server.task_state in tasks else None


@contextmanager
def foreign_code() -> Generator[None]:
    """Turn what an engine should not raise into what it may: a server must never hang in a task because of it."""
    try:
        yield
    except (ArmillaryError, OSError):
        raise
    except Exception as error:
        log.exception("an engine failed in an unforeseen way")
        raise BootFailed(f"The engine failed in an unforeseen way: {error}") from error


def words(error: ArmillaryError | OSError) -> str:
    """What went wrong, for a fault."""
    return error.message if isinstance(error, ArmillaryError) else str(error)
