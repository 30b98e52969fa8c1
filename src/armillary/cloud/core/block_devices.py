"""Block devices: which disks a request makes, what they are called, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import Any, NoReturn

from armillary.base.errors import Invalid
from armillary.base.units import GiB, MiB
from armillary.cloud.compute.model import BlockDevice, Flavor

ROOT_DEVICE = "/dev/vda"
SWAP = "swap"


@dataclass(frozen=True, kw_only=True)
class DeviceWish:
    """One entry of `block_device_mapping_v2`, as it came."""

    source_type: str
    destination_type: str
    source_id: str | None = None
    boot_index: int | None = None
    size: int | None = None
    delete_on_termination: bool = False
    device_name: str | None = None
    guest_format: str | None = None
    volume_type: str | None = None
    tag: str | None = None

    @property
    def is_volume(self) -> bool:
        """It becomes a volume, or is one."""
        return self.destination_type == "volume"

    @property
    def is_swap(self) -> bool:
        return self.source_type == "blank" and not self.is_volume and self.guest_format == SWAP

    @property
    def is_ephemeral(self) -> bool:
        return self.source_type == "blank" and not self.is_volume and self.guest_format != SWAP


@dataclass(frozen=True, kw_only=True)
class Disks:
    """The disks of a new server."""

    image_id: str | None
    """What its own root disk is made from; None if it boots from a volume."""
    devices: Sequence[DeviceWish] = field(default_factory=tuple[DeviceWish, ...])
    """All others, and the volume that it boots from."""


def arrange(image_ref: str | None, wishes: Sequence[DeviceWish], *, count: int) -> Disks:
    """Read what a request says of disks.

    Raises:
        Invalid: in Nova's words.
    """
    for wish in wishes:
        _check(wish, has_image=bool(image_ref))
    from_image = [w for w in wishes if w.source_type == "image" and not w.is_volume]
    rest = [wish for wish in wishes if wish not in from_image]
    if not wishes and not image_ref:
        raise Invalid(
            "Invalid imageRef provided.",
            code="invalid_image_ref",
            remedy="Name an image, or a volume to boot from.",
        )
    order = sorted(w.boot_index for w in wishes if w.boot_index is not None and w.boot_index >= 0)
    # as Nova: with devices an image is booted only if it is among them, which clients see to
    if wishes and (not order or order != list(range(len(order)))):
        _refuse(
            "Boot sequence for the instance and image/block device mapping combination is not valid.",
            "block_device_boot_order",
        )
    root_is_image = bool(from_image) or not wishes
    if image_ref and any(w.is_volume and w.device_name and _plain(w.device_name) == "vda" for w in rest):
        raise Invalid(
            "The volume cannot be assigned the same device name as the root device vda",
            code="block_device_name_taken",
        )
    if count > 1 and any(w.source_type == "volume" for w in rest):
        raise Invalid("Cannot attach one or more volumes to multiple instances", code="block_device_shared")
    return Disks(image_id=image_ref if root_is_image else None, devices=rest)


def _check(wish: DeviceWish, *, has_image: bool) -> None:
    code = "block_device_invalid"
    if wish.source_type == "blank" and wish.source_id:
        _refuse("Invalid device UUID.", code)
    if wish.source_type != "blank" and not wish.source_id:
        _refuse("Missing device UUID.", code)
    if wish.source_type == "image" and not wish.is_volume and not (has_image and wish.boot_index == 0):
        _refuse("Mapping image to local is not supported.", code)
    if wish.source_type in {"volume", "snapshot"} and not wish.is_volume:
        _refuse(f"Mapping {wish.source_type} to local is not supported.", code)
    if wish.volume_type and not wish.is_volume:
        _refuse("Specifying a volume_type with destination_type=local is not supported.", code)
    if wish.volume_type and wish.source_type == "volume":
        _refuse("Specifying volume type to existing volume is not supported.", code)
    if wish.source_type == "image" and wish.is_volume and not wish.size:
        raise Invalid(
            "Images with destination_type 'volume' need to have a non-zero size specified", code=code
        )
    if wish.source_type == "blank" and wish.is_volume and not wish.size:
        raise Invalid("Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size", code=code)


def check_local(flavor: Flavor, wishes: Iterable[DeviceWish]) -> None:
    """Refuse local disks that are larger than the flavor allows.

    Raises:
        Invalid: in Nova's words.
    """
    kept = list(wishes)
    ephemeral = sum(w.size or flavor.ephemeral for w in kept if w.is_ephemeral)
    if ephemeral > flavor.ephemeral:
        raise Invalid(
            "Ephemeral disks requested are larger than the instance type allows. If no size is given in one block "
            "device mapping, flavor ephemeral size will be used.",
            code="ephemeral_too_large",
            facts={"asked": ephemeral, "ephemeral": flavor.ephemeral},
        )
    swaps = [w.size or 0 for w in kept if w.is_swap]
    if len(swaps) > 1:
        _refuse("More than one swap drive requested.", "block_device_invalid")
    if sum(swaps) > flavor.swap:
        raise Invalid(
            "Swap drive requested is larger than instance type allows.",
            code="swap_too_large",
            facts={"asked": sum(swaps), "swap": flavor.swap},
        )


def ephemeral_of(flavor: Flavor, devices: Iterable[BlockDevice]) -> GiB:
    """The size of a server's ephemeral disk: the flavor's, unless its owner asked for less."""
    asked = [
        d
        for d in devices
        if d.source_type == "blank" and d.destination_type == "local" and d.guest_format != SWAP
    ]
    return GiB(sum(d.size or flavor.ephemeral for d in asked)) if asked else flavor.ephemeral


def swap_of(flavor: Flavor, devices: Iterable[BlockDevice]) -> MiB:
    """The size of a server's swap disk: the flavor's, unless its owner asked for less."""
    asked = [
        d
        for d in devices
        if d.source_type == "blank" and d.destination_type == "local" and d.guest_format == SWAP
    ]
    return MiB(asked[0].size or 0) if asked else flavor.swap


def next_name(
    flavor: Flavor, devices: Iterable[BlockDevice], *, config_drive: bool, wanted: str | None = None
) -> str:
    """The name of one more disk: the wanted one if it is free, else the first that is."""
    kept = list(devices)
    taken = {device.device_name for device in kept} | {ROOT_DEVICE}
    local = bool(ephemeral_of(flavor, kept)) + bool(swap_of(flavor, kept)) + config_drive
    names = [f"/dev/vd{letter}" for letter in ascii_lowercase]
    taken |= set(names[1 : 1 + local])
    if wanted:
        name = f"/dev/{_plain(wanted)}"
        if name not in taken:
            return name
    free = next((name for name in names if name not in taken), None)
    if free is None:
        raise Invalid(
            f"The maximum allowed number of disk devices ({len(names)}) to attach to a single instance has been "
            "exceeded.",
            code="too_many_disks",
        )
    return free


def image_mapping(devices: Iterable[tuple[BlockDevice, str]]) -> list[dict[str, Any]]:
    """What an image of a server with volumes says of them: each with the snapshot that was made of it."""
    return [
        {
            "source_type": "snapshot",
            "destination_type": "volume",
            "snapshot_id": snapshot_id,
            "boot_index": device.boot_index,
            "delete_on_termination": device.delete_on_termination,
            "volume_size": device.size,
            "device_name": device.device_name,
            "device_type": "disk",
            "disk_bus": "virtio",
            "tag": device.tag,
        }
        for device, snapshot_id in devices
    ]


def _plain(name: str) -> str:
    return name.removeprefix("/dev/")


def _refuse(details: str, code: str) -> NoReturn:
    raise Invalid(f"Block Device Mapping is Invalid: {details}", code=code)
