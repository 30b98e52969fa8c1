"""What a machine's process was started with and what was plugged into it since, written down.

The record lets a suspended machine go on in a new process: QEMU takes a memory image only into a machine of the same
type with the same devices in the same slots.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from armillary.base.ids import PortId, VolumeId
from armillary.cloud.engines.qemu.layout import MachineFiles, digest, port_key
from armillary.cloud.model import MachineSpec, PortSpec, VolumeSpec
from armillary.cloud.ports import BootFailed

# Slots of the i440FX board's only bus; 0 and 1 are the board's own. The guest names its disks and cards in this order,
# and all from 3 on can be plugged and pulled while it runs (ACPI).
VGA_SLOT, SERIAL_SLOT, RANDOM_SLOT = 2, 3, 4
RESCUE_SLOT, ROOT_SLOT, EPHEMERAL_SLOT, SWAP_SLOT, CONFIG_SLOT = 5, 6, 7, 8, 9
_CARD_SLOTS = (*range(10, 16), *range(31, 15, -1))
"""Cards that find no room in their own six take the volumes' from the end."""
_VOLUME_SLOTS = tuple(range(16, 32))


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """A machine as its process has it."""

    spec: MachineSpec
    """With the volumes and ports of this moment, and without what the config drive holds."""
    config_drive: bool
    slots: Mapping[str, int]
    """The PCI slot of each card and volume, by QEMU's name for the device."""
    accelerator: str
    stage: Literal["cold", "template", "woken"] = "cold"
    """A template waits on a second serial port to be told who it is; a machine that was woken from one has the same
    devices. A template's card leads nowhere."""
    machine_type: str = "pc"
    """The exact version is known when the machine is suspended: `pc` may mean a newer one by then."""

    def with_port(self, port: PortSpec) -> Hardware:
        """Return it with one more card. Raises BootFailed if there is no slot for it."""
        slots = {**self.slots, card_device(port.id): self._free(_CARD_SLOTS)}
        return replace(self, spec=replace(self.spec, ports=(*self.spec.ports, port)), slots=slots)

    def with_volume(self, volume: VolumeSpec) -> Hardware:
        """Return it with one more volume, behind the others as long as there is room."""
        last = max((self.slots[volume_device(each.id)] for each in self.spec.volumes), default=0)
        order = sorted(_VOLUME_SLOTS, key=lambda slot: (slot < last, slot))
        slots = {**self.slots, volume_device(volume.id): self._free(order)}
        return replace(self, spec=replace(self.spec, volumes=(*self.spec.volumes, volume)), slots=slots)

    def without(self, devices: Iterable[str]) -> Hardware:
        """Return it without the cards and volumes of these names."""
        gone = frozenset(devices)
        ports = tuple(port for port in self.spec.ports if card_device(port.id) not in gone)
        volumes = tuple(volume for volume in self.spec.volumes if volume_device(volume.id) not in gone)
        slots = {name: slot for name, slot in self.slots.items() if name not in gone}
        return replace(self, spec=replace(self.spec, ports=ports, volumes=volumes), slots=slots)

    def where(self, spec: MachineSpec) -> Hardware:
        """Return it with its files where `spec` says that they are now: data folders may be moved."""
        paths = {volume.id: volume.path for volume in spec.volumes}
        volumes = tuple(replace(each, path=paths.get(each.id, each.path)) for each in self.spec.volumes)
        moved = replace(self.spec, volumes=volumes, image_path=spec.image_path or self.spec.image_path)
        return replace(self, spec=moved)

    def _free(self, order: Iterable[int]) -> int:
        taken = frozenset(self.slots.values())
        for slot in order:
            if slot not in taken:
                return slot
        raise BootFailed(
            "The machine has no slot free for another device.",
            code="no_slot",
            remedy="Detach another volume or interface first.",
        )


def card_device(port_id: PortId) -> str:
    """Return QEMU's name for a card."""
    return f"card-{port_key(port_id)}"


def volume_device(volume_id: VolumeId) -> str:
    """Return QEMU's name for a volume's disk."""
    return f"disk-v{digest(volume_id, 8)}"


def hardware_of(spec: MachineSpec, *, accelerator: str) -> Hardware:
    """Return what a machine has when it starts. Raises BootFailed if it has more devices than slots."""
    image = spec.image_path.absolute() if spec.image_path else None
    bare = replace(spec, ports=(), volumes=(), config_drive={}, image_path=image, template=None)
    made = Hardware(spec=bare, config_drive=bool(spec.config_drive), slots={}, accelerator=accelerator)
    for volume in spec.volumes:
        if volume.boot and spec.image_path is None:
            slots = {**made.slots, volume_device(volume.id): ROOT_SLOT}
            made = replace(made, spec=replace(made.spec, volumes=(volume,)), slots=slots)
    for port in spec.ports:
        made = made.with_port(port)
    for volume in spec.volumes:
        if volume_device(volume.id) not in made.slots:
            made = made.with_volume(volume)
    return made


_RECORD = TypeAdapter(Hardware)


def read(files: MachineFiles) -> Hardware:
    """Return what is written down of a machine. Raises BootFailed if nothing is."""
    try:
        return _RECORD.validate_json(files.spec.read_bytes())
    except (OSError, ValueError) as error:
        raise BootFailed("The machine's record is not there or damaged.", code="unknown_machine") from error


def write(hardware: Hardware, files: MachineFiles) -> None:
    """Write a machine's hardware down, whole or not at all."""
    partial = files.spec.with_suffix(".partial")
    partial.write_bytes(_RECORD.dump_json(hardware, indent=1))
    partial.replace(files.spec)


def image_of(hardware: Hardware) -> tuple[Path, str]:
    """Return the image that a machine's root disk leans on. Raises BootFailed if it boots from a volume."""
    if hardware.spec.image_path is None:
        raise BootFailed("The machine boots from a volume.", code="no_root_disk")
    return hardware.spec.image_path, hardware.spec.image_format
