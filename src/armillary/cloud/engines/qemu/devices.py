"""Cards and disks that are plugged into running machines and pulled out of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterable
from pathlib import Path

from armillary.base.ids import PortId, ServerId, VolumeId
from armillary.base.units import GiB
from armillary.cloud.engines.qemu import disks, hardware, snapshots
from armillary.cloud.engines.qemu.cards import card
from armillary.cloud.engines.qemu.drives import volume_drive, volume_node
from armillary.cloud.engines.qemu.hardware import card_device, volume_device
from armillary.cloud.engines.qemu.qmp import Monitor, MonitorError, Refused, TooSlow
from armillary.cloud.engines.qemu.stand import BUSY_SECONDS, Stand, alive, asleep, devices
from armillary.cloud.model import ConsoleSockets, PortSpec, VolumeSpec
from armillary.cloud.ports import BootFailed

_GIB = 2**30
_RELEASE_SECONDS = 2.0


class QemuDevices(Stand):
    """The `Devices` port."""

    def plug_port(self, server_id: ServerId, port: PortSpec) -> None:
        """Give a running machine one more network card."""
        files, name = self._layout.machine(server_id), card_device(port.id)
        with self._changing(server_id, "plugged in") as monitor:
            if monitor is None or name in devices(monitor):
                return
            before = hardware.read(files).without([name])
            after = before.with_port(port)
            made = card(port, files, after.slots[name])
            names = [netdev["id"] for netdev in made.netdevs]
            _remove_netdevs(monitor, names)  # of an attempt that was killed
            # Written down first: what is recorded and not there does no harm, the other way round it would.
            hardware.write(after, files)
            try:
                for netdev in made.netdevs:
                    monitor.ask("netdev_add", **netdev)
                monitor.ask("device_add", **made.device)
            except MonitorError:
                _remove_netdevs(monitor, names)
                hardware.write(before, files)
                raise

    def unplug_port(self, server_id: ServerId, port_id: PortId) -> None:
        """Pull a card."""
        files, name = self._layout.machine(server_id), card_device(port_id)
        with self._changing(server_id, "pulled out") as monitor:
            if monitor is None:
                return
            self._pull(monitor, name)
            found = hardware.read(files)
            for port in found.spec.ports:
                if port.id == port_id:
                    made = card(port, files, found.slots[name])
                    _remove_netdevs(monitor, [netdev["id"] for netdev in made.netdevs])
            hardware.write(found.without([name]), files)

    def plug_volume(self, server_id: ServerId, volume: VolumeSpec) -> None:
        """Give a running machine one more disk."""
        files, name = self._layout.machine(server_id), volume_device(volume.id)
        with self._changing(server_id, "plugged in") as monitor:
            if monitor is None or name in devices(monitor):
                return
            before = hardware.read(files).without([name])
            after = before.with_volume(volume)
            drive = volume_drive(volume, after.slots[name])
            _remove_node(monitor, volume_node(volume.id))  # of an attempt that was killed
            hardware.write(after, files)
            try:
                monitor.ask("blockdev-add", **drive.node)
                monitor.ask("device_add", **drive.device)
            except MonitorError:
                _remove_node(monitor, volume_node(volume.id))
                hardware.write(before, files)
                raise

    def unplug_volume(self, server_id: ServerId, volume_id: VolumeId) -> None:
        """Pull a disk. Its file is closed, and flushed before that."""
        files, name = self._layout.machine(server_id), volume_device(volume_id)
        with self._changing(server_id, "pulled out") as monitor:
            if monitor is None:
                return
            self._pull(monitor, name)
            _remove_node(monitor, volume_node(volume_id))
            hardware.write(hardware.read(files).without([name]), files)

    def grow_volume(self, server_id: ServerId, volume_id: VolumeId, size: GiB) -> bool:
        """Make an attached volume larger, under the guest's eyes."""
        node = volume_node(volume_id)
        with self._changing(server_id, "grown", asleep_too=True) as monitor:
            found = {} if monitor is None else snapshots.sizes(monitor)
            if monitor is None or node not in found:
                return False
            if found[node] < size * _GIB:
                monitor.ask("block_resize", node_name=node, size=size * _GIB)
            return True

    def copy_volume(self, server_id: ServerId, volume_id: VolumeId, target: Path) -> bool:
        """Write an attached volume as it is at one moment to `target`, in the volume's own format."""
        files, node = self._layout.machine(server_id), volume_node(volume_id)
        with self._changing(server_id, "copied", asleep_too=True) as monitor:
            if monitor is None or node not in snapshots.sizes(monitor):
                return False
        volumes = hardware.read(files).spec.volumes
        image_format = next((each.format for each in volumes if each.id == volume_id), "qcow2")
        try:
            snapshots.copy_running(files, node, target, image_format=image_format)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return True

    def consoles(self, server_id: ServerId) -> ConsoleSockets:
        """Where a machine's consoles are reached while it runs."""
        files = self._layout.machine(server_id)
        if asleep(files) or not alive(files):
            return ConsoleSockets(serial=None, display=None)
        return ConsoleSockets(serial=files.serial, display=files.display)

    @contextlib.contextmanager
    def _changing(
        self, server_id: ServerId, done: str, *, asleep_too: bool = False
    ) -> Generator[Monitor | None]:
        """Visit the monitor of a machine with nobody else at its devices; None if the machine does not run."""
        files = self._layout.machine(server_id)
        with self._lock(server_id):
            if asleep(files) and not asleep_too:
                raise BootFailed(
                    f"The device cannot be {done}: the machine is suspended.",
                    code="suspended",
                    remedy="Resume the machine first.",
                )
            if asleep(files) or not alive(files):
                yield None
                return
            try:
                with Monitor(files.monitor, timeout=BUSY_SECONDS) as monitor:
                    yield monitor
            except MonitorError as error:
                found = disks.explain(str(error))
                if found.code != BootFailed.code:
                    raise found from error
                raise BootFailed(
                    f"The device cannot be {done}: {error}", facts={"said": str(error)}
                ) from error

    def _pull(self, monitor: Monitor, name: str) -> None:
        """Take a device out of the machine; its guest must let go of it."""
        if name not in devices(monitor):
            return
        try:
            monitor.ask("device_del", id=name)
        except Refused as error:
            if "in the process of unplug" not in str(
                error
            ):  # an attempt before this one still waits for the guest
                raise
        try:
            monitor.wait_for("DEVICE_DELETED", timeout=self._unplug_seconds, device=name)
        except TooSlow as error:
            if name in devices(monitor):
                raise BootFailed(
                    "The guest does not let go of the device.",
                    code="device_busy",
                    remedy="Unmount it inside the machine, then try again.",
                    facts={"seconds": self._unplug_seconds},
                ) from error


def _remove_netdevs(monitor: Monitor, names: Iterable[str]) -> None:
    for name in reversed(list(names)):
        with contextlib.suppress(Refused):  # never made, or gone
            monitor.ask("netdev_del", id=name)


def _remove_node(monitor: Monitor, name: str) -> None:
    """Close a disk's file. The device that used it may be gone for the guest and still on its way in QEMU (RCU)."""
    deadline = time.monotonic() + _RELEASE_SECONDS
    while name in snapshots.sizes(monitor):
        try:
            monitor.ask("blockdev-del", node_name=name)
        except Refused:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
