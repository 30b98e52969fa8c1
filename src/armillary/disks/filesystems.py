"""ext2 to ext4, xfs and btrfs by Dissect's readers, as one kind of node each. No more of them is asked than a walk needs."""

from __future__ import annotations

import importlib
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from armillary.disks.journal import replayed
from armillary.disks.model import damaged
from armillary.disks.sources import Source, Stream

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}
_LONGEST_LINK = 4096
FAULTS: tuple[type[BaseException], ...] = (Exception,)
"""What a reader may raise over a damaged file system: anything, from its own errors to OverflowError. Each is noted
as a problem of the one file, or refuses the image; none is our own fault to hide."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A file, directory or link of a file system."""

    number: object
    """the same for the same inode"""
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    entries: Callable[[], Iterator[tuple[str, Node]]]
    open: Callable[[], BinaryIO]
    target: Callable[[], str]


@dataclass(frozen=True, kw_only=True)
class FileSystem:
    """A file system with what others call it by."""

    kind: str
    uuid: str
    label: str
    root: Node
    clean: bool = True


def kind_of(source: Source) -> str | None:
    """Return which file system begins here: ext, xfs, btrfs, lvm, crypt; None for none that we know."""
    if source.size < 1 << 17:
        return None
    start = source.at(0, 4096)
    if struct.unpack_from("<H", start, 1080)[0] == 0xEF53:
        return "ext"
    if start.startswith(b"XFSB"):
        return "xfs"
    if source.at(0x10040, 8) == b"_BHRfS_M":
        return "btrfs"
    if start.startswith(b"LUKS\xba\xbe"):
        return "crypt"
    return "lvm" if start[512:520] == b"LABELONE" else None


def open_filesystem(source: Source, kind: str) -> FileSystem:
    """Return the file system that `kind_of` found."""
    return {"ext": _ext, "xfs": _xfs, "btrfs": _btrfs}[kind](source)


def _ext(source: Source) -> FileSystem:
    extfs: Any = importlib.import_module("dissect.extfs.extfs")
    found = extfs.ExtFS(Stream(source=source))
    clean = not found.sb.s_feature_incompat & 0x4
    if not clean:
        # a machine that ran while it was copied: what its journal promises counts, as it will at the next boot
        found = extfs.ExtFS(Stream(source=replayed(source, found)))
    revision = 4 if found.sb.s_feature_incompat & 0x40 else 2

    def node(inode: Any) -> Node:
        raw = inode.inode
        return _node(
            inode,
            mode=raw.i_mode,
            uid=raw.i_uid | raw.i_uid_high << 16,
            gid=raw.i_gid | raw.i_gid_high << 16,
            number=inode.inum,
            entries=lambda: ((child.filename, node(child)) for child in inode.iterdir()),
        )

    return FileSystem(
        kind=f"ext{revision}",
        uuid=str(found.uuid),
        label=found.volume_name,
        root=node(found.root),
        clean=clean,
    )


def _xfs(source: Source) -> FileSystem:
    xfs: Any = importlib.import_module("dissect.xfs.xfs")
    found = xfs.XFS(Stream(source=source))

    def node(inode: Any) -> Node:
        raw = inode.inode
        return _node(
            inode,
            mode=raw.di_mode,
            uid=raw.di_uid,
            gid=raw.di_gid,
            number=inode.inum,
            entries=lambda: ((child.filename, node(child)) for child in inode.iterdir()),
        )

    return FileSystem(kind="xfs", uuid=str(found.uuid), label=found.name, root=node(found.root))


def _btrfs(source: Source) -> FileSystem:
    btrfs: Any = importlib.import_module("dissect.btrfs.btrfs")
    found = btrfs.Btrfs(Stream(source=source))

    def node(inode: Any) -> Node:
        return _node(
            inode,
            mode=inode.mode,
            uid=inode.uid,
            gid=inode.gid,
            number=(inode.subvolume.objectid, inode.inum),
            entries=lambda: ((name, node(child)) for name, child in inode.iterdir()),
        )

    root = node(found.default_subvolume.root)
    names = dict(root.entries())
    if "etc" not in names:  # Fedora and Rocky keep the system in a subvolume beside that of the homes
        root = next((names[name] for name in ("root", "@") if name in names), root)
    return FileSystem(kind="btrfs", uuid=str(found.uuid), label=str(found.label), root=root)


def _node(
    inode: Any,
    *,
    mode: int,
    uid: int,
    gid: int,
    number: object,
    entries: Callable[[], Iterator[tuple[str, Node]]],
) -> Node:
    def target() -> str:
        if inode.size > _LONGEST_LINK:
            raise damaged("a link is longer than links are")
        return str(inode.link)

    return Node(
        number=number,
        kind=KINDS.get(stat.S_IFMT(mode), "other"),
        mode=stat.S_IMODE(mode),
        uid=uid,
        gid=gid,
        size=int(inode.size),
        entries=entries,
        open=inode.open,
        target=target,
    )
