"""Which part of a disk has the system, and what is mounted into it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from armillary.base.errors import ArmillaryError, Invalid
from armillary.disks.filesystems import FAULTS, FileSystem, Node, kind_of, open_filesystem
from armillary.disks.sources import Part, Source, Stream

_MOST_PARTS = 128
_MOST_FSTAB = 64 * 1024
_NOT_READ = {"lvm": "a volume group (LVM)", "crypt": "an encrypted part"}


def systems(disk: Source) -> tuple[FileSystem, dict[str, FileSystem], list[str]]:
    """Return the file system of the root, those that it mounts by path, and what is there and not read.

    Raises:
        Invalid: `image_without_system`.
    """
    found: list[FileSystem] = []
    problems: list[str] = []
    for name, part in _parts(disk):
        kind = kind_of(part)
        if kind in _NOT_READ:
            problems.append(f"{name}: {_NOT_READ[kind]} is not read")
        elif kind is not None:
            try:
                found.append(open_filesystem(part, kind))
            except ArmillaryError as error:
                problems.append(f"{name}: {error.message}")
            except FAULTS as error:
                problems.append(f"{name}: {kind} cannot be read: {type(error).__name__}: {error}"[:300])
    root = next((fs for fs in found if _names(fs) >= {"etc", "usr"}), None)
    if root is None:
        raise Invalid(
            "No operating system is on the image that we could read.",
            code="image_without_system",
            facts={"problems": problems, "filesystems": [fs.kind for fs in found]},
            remedy="ext4, xfs and btrfs are read, on a disk with GPT or MBR, or without partitions.",
        )
    return root, _mounts(root, [fs for fs in found if fs is not root]), problems


def _parts(disk: Source) -> Iterator[tuple[str, Source]]:
    if kind_of(disk) is not None:
        yield "the disk", disk
        return
    dissect: Any = importlib.import_module("dissect.volume.disk")
    try:
        table = dissect.Disk(Stream(source=disk))
        places = [(part.number, part.offset, part.size) for part in table.partitions[:_MOST_PARTS]]
    except FAULTS as error:
        raise Invalid(
            "The disk has neither a file system that we know nor a partition table.",
            code="image_without_system",
            facts={"said": f"{type(error).__name__}: {error}"[:300]},
        ) from error
    for number, offset, size in places:
        yield f"partition {number}", Part(whole=disk, offset=offset, size=min(size, disk.size - offset))


def _names(filesystem: FileSystem) -> set[str]:
    try:
        return {name for name, _ in filesystem.root.entries()}
    except FAULTS:
        return set()


def _mounts(root: FileSystem, others: list[FileSystem]) -> dict[str, FileSystem]:
    """What /etc/fstab mounts by UUID or label, for the system's own places."""
    by_name = {f"UUID={fs.uuid}".lower(): fs for fs in others}
    by_name |= {f"LABEL={fs.label}".lower(): fs for fs in others if fs.label}
    mounts: dict[str, FileSystem] = {}
    for line in text(root.root, "etc", "fstab", most=_MOST_FSTAB).splitlines():
        fields = line.split()
        if len(fields) >= 2 and fields[0].replace('"', "").lower() in by_name and fields[1] != "/":
            mounts[fields[1].strip("/")] = by_name[fields[0].replace('"', "").lower()]
    return mounts


def text(node: Node, *names: str, most: int) -> str:
    """Return the text of a file below `node`, of at most so many bytes; empty if there is none."""
    try:
        for name in names:
            node = next(child for found, child in node.entries() if found == name)
        return node.open().read(most).decode(errors="replace") if node.kind == "file" else ""
    except FAULTS:
        return ""
