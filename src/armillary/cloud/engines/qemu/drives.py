"""A machine's disks as QEMU sees them: what lies behind each, and the device that the guest finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armillary.base.ids import VolumeId
from armillary.cloud.engines.qemu.hardware import (
    CONFIG_SLOT,
    EPHEMERAL_SLOT,
    RESCUE_SLOT,
    ROOT_SLOT,
    SWAP_SLOT,
    Hardware,
    volume_device,
)
from armillary.cloud.engines.qemu.layout import MachineFiles, digest
from armillary.cloud.model import VolumeSpec

ROOT_NODE = "root"
"""QEMU's name for the root disk's contents, that a snapshot copies."""
KEPT_NODE = "kept"
WARM_NODE = "warm"
IMAGE_NODE = "image"
_SERIAL_LENGTH = 20
"""virtio-blk has room for so many bytes (VIRTIO 1.1, 5.2.6), and Nova's volumes show as many of their id."""

Node = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Drive:
    """A disk: arguments of `blockdev-add`, and of `device_add`, or of the command line's words for the same."""

    node: Node
    device: dict[str, Any]


def volume_node(volume_id: VolumeId) -> str:
    """Return QEMU's name for what a volume holds."""
    return f"v{digest(volume_id, 8)}"


def drives(hardware: Hardware, files: MachineFiles, *, unsafe: bool) -> Iterator[Drive]:
    """Return the disks of a machine in the order in which it shall find them."""
    spec = hardware.spec
    if spec.rescue is not None:
        image = _image(spec.rescue.image_path, spec.rescue.image_format, name="rescue-image")
        node = {"driver": "qcow2", "node-name": "rescue", "file": _file(files.rescue), "backing": image}
        yield _fixed("rescue", node, RESCUE_SLOT, bootindex=0)
    if spec.image_path is not None:
        cache = {"no-flush": unsafe}
        root = root_chain(files, spec.image_path, spec.image_format) | {"discard": "unmap", "cache": cache}
        yield _fixed(ROOT_NODE, root, ROOT_SLOT, bootindex=1)
    if spec.ephemeral_disk:
        # what an ephemeral disk holds is gone with its machine anyway, but a reboot must find it whole
        yield _fixed("ephemeral", _raw("ephemeral", files.ephemeral), EPHEMERAL_SLOT)
    if spec.swap_disk:
        yield _fixed("swap", _raw("swap", files.swap), SWAP_SLOT)
    if hardware.config_drive:
        file = _file(files.config_drive, writable=False)
        node = {"driver": "raw", "node-name": "config", "read-only": True, "file": file}
        yield _fixed("config", node, CONFIG_SLOT)
    for volume in spec.volumes:
        yield volume_drive(volume, hardware.slots[volume_device(volume.id)])


def root_chain(files: MachineFiles, image: Path, image_format: str) -> Node:
    """Return the root disk with all that it leans on.

    Each file is named here, not in the overlay alone, so that the data folder may be moved.
    """
    backing = _image(image, image_format, name=IMAGE_NODE)
    top = files.root
    if files.warm.exists():
        backing = _beneath(files.warm, backing, name=WARM_NODE)
    if not files.root.exists() and files.kept.exists():
        top = files.kept  # set aside, and the machine has not started since
    elif files.kept.exists():
        backing = _beneath(files.kept, backing, name=KEPT_NODE)
    return {"driver": "qcow2", "node-name": ROOT_NODE, "file": _file(top), "backing": backing}


def volume_drive(volume: VolumeSpec, slot: int) -> Drive:
    """Return an attached volume. It stands alone: what its file says of a backing file is not believed."""
    name = volume_node(volume.id)
    alone: Node = {"backing": None} if volume.format == "qcow2" else {}
    node = {
        "driver": volume.format,
        "node-name": name,
        "read-only": volume.readonly,
        "file": _file(volume.path, writable=not volume.readonly),
        "discard": "unmap",
        **alone,
    }
    more: dict[str, Any] = {"serial": volume.id[:_SERIAL_LENGTH]}
    if volume.boot:
        more["bootindex"] = 1
    return Drive(node=node, device=_device(name, volume_device(volume.id), slot, **more))


def _fixed(name: str, node: Node, slot: int, **properties: Any) -> Drive:
    return Drive(node=node, device=_device(name, f"disk-{name}", slot, **properties))


def _device(node: str, name: str, slot: int, **properties: Any) -> dict[str, Any]:
    return {"driver": "virtio-blk-pci", "id": name, "drive": node, "addr": f"{slot:#x}", **properties}


def _raw(name: str, path: Path) -> Node:
    return {"driver": "raw", "node-name": name, "file": _file(path), "discard": "unmap"}


def _image(path: Path, image_format: str, *, name: str) -> Node:
    alone: Mapping[str, Any] = {"backing": None} if image_format == "qcow2" else {}
    file = _file(path, writable=False)
    return {"driver": image_format, "node-name": name, "read-only": True, "file": file, **alone}


def _beneath(path: Path, backing: Node, *, name: str) -> Node:
    node: Node = {"driver": "qcow2", "node-name": name, "read-only": True}
    return {**node, "file": _file(path, writable=False), "backing": backing}


def _file(path: Path, *, writable: bool = True) -> Node:
    node: Node = {"driver": "file", "filename": str(path.absolute()), "aio": "threads"}
    return {**node, "discard": "unmap"} if writable else {**node, "read-only": True}
