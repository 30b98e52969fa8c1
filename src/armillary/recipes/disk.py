"""From the tree that mmdebstrap made to a disk: a file system in a partition, behind GRUB."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import struct
import subprocess
import tarfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from armillary.base.units import Bytes
from armillary.recipes.bootloader import FIRST_PARTITION, SECTOR, boot_area
from armillary.recipes.model import BuildFailed, GuestFile
from armillary.recipes.run import run, tool

# Only what GRUB 2.06 can read: no metadata_csum_seed or orphan_file, whatever is the default here.
_MKE2FS_CONF = """\
[defaults]
base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
default_mntopts = acl,user_xattr
blocksize = 4096
inode_size = 256
inode_ratio = 16384
[fs_types]
ext4 = {
  features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
}
"""


_FIRST_INODE = 11  # those before it are the file system's own


@dataclass(frozen=True, kw_only=True)
class BootFiles:
    """What is taken out of the tree to put beside it, or in front of it."""

    boot_img: bytes
    core_img: bytes
    kernel: bytes
    initrd: bytes
    packages: Mapping[str, str]


def overlay_tar(files: Mapping[str, GuestFile]) -> bytes:
    """Return the files as a tar archive that belongs to root, with the directories that they need."""
    buffer = io.BytesIO()
    made: set[str] = set()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, file in sorted(files.items()):
            for parent in reversed(Path(path).parents[:-1]):
                if str(parent) not in made:
                    made.add(str(parent))
                    archive.addfile(_member(str(parent), 0o755, tarfile.DIRTYPE))
            member = _member(path, file.mode, tarfile.REGTYPE)
            member.size = len(file.content)
            archive.addfile(member, io.BytesIO(file.content))
    return buffer.getvalue()


def _member(path: str, mode: int, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(f"./{path}")
    member.mode, member.type = mode, kind
    member.uname = member.gname = "root"
    return member


def boot_files(system: Path) -> BootFiles:
    """Read boot loader, kernel and the list of packages out of the system's archive.

    Raises:
        BuildFailed: one of them is not there.
    """
    found: dict[str, bytes] = {}
    with tarfile.open(system) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            wanted = name.startswith("boot/") or name == "var/lib/dpkg/status"
            if wanted and member.isreg():
                stream = archive.extractfile(member)
                if stream:
                    found[name] = stream.read()
    kernels = sorted(name for name in found if name.startswith("boot/vmlinuz-"))
    try:
        version = kernels[-1].removeprefix("boot/vmlinuz-")
        return BootFiles(
            boot_img=found["boot/grub/i386-pc/boot.img"],
            core_img=found["boot/grub/i386-pc/core.img"],
            kernel=found[f"boot/vmlinuz-{version}"],
            initrd=found[f"boot/initrd.img-{version}"],
            packages=installed_packages(found["var/lib/dpkg/status"].decode()),
        )
    except (KeyError, IndexError) as error:
        raise BuildFailed(f"The finished tree has no {error}") from error


def installed_packages(status: str) -> dict[str, str]:
    """Return name and version of each installed package in the text of dpkg's status file."""
    packages: dict[str, str] = {}
    for block in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            packages[fields["Package"]] = fields.get("Version", "")
    return packages


def make_disk(system: Path, *, disk: Path, size: Bytes, root_uuid: str, boot: BootFiles, epoch: int) -> None:
    """Write the raw disk `disk`: the archive's tree as ext4 in one partition, with GRUB in front of it.

    Made twice of one archive it is the same byte for byte, and nothing in it is younger than `epoch`, in seconds since
    1970. Nothing is mounted. Where we are not root, a user namespace or fakeroot keeps the owners right.
    """
    work = disk.parent
    config = work / "mke2fs.conf"
    config.write_text(_MKE2FS_CONF, encoding="utf-8")
    with disk.open("wb") as file:
        file.truncate(size)
    # zeroing the tables later would be left to the first boot; on a sparse file they are zero already
    options = f"offset={FIRST_PARTITION * SECTOR},lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    options += f",hash_seed={root_uuid}"  # else each file system sorts its directories in its own way
    blocks = (size - FIRST_PARTITION * SECTOR) // 4096
    make = [tool("mke2fs"), "-q", "-F", "-t", "ext4", "-L", "armillary-root", "-U", root_uuid]
    make += ["-E", options, "-d", str(work / "tree"), str(disk), f"{blocks * 4}k"]
    unpack = [tool("tar"), "-xp", "--numeric-owner", "--xattrs", "--xattrs-include=*"]
    unpack += ["-f", str(system), "-C", str(work / "tree")]
    # device nodes are not unpacked (a user may not make them); the kernel fills /dev
    # which of several packages made a directory last is chance, and so is its time
    older = (
        f"find tree \\( -type d -o -newermt @{epoch} \\) -exec touch --no-dereference --date=@{epoch} {{}} +"
    )
    script = (
        f"mkdir -p tree && {shlex.join(unpack)} && mkdir -p tree/dev && {older} && {shlex.join(make)}"
        " && rm -rf tree"
    )
    # mke2fs takes files in the order of the locale
    env = {"MKE2FS_CONFIG": str(config), "E2FSPROGS_FAKE_TIME": str(epoch), "LC_ALL": "C"}
    run([*as_root(), "sh", "-c", script], what="making the file system", env=env, cwd=work)
    _forget_the_making(disk, epoch=epoch, work=work)
    area = boot_area(
        boot_img=boot.boot_img,
        core_img=boot.core_img,
        disk_sectors=size // SECTOR,
        signature=uuid.UUID(root_uuid).fields[0],
    )
    with disk.open("r+b") as file:
        file.write(area)


def _forget_the_making(disk: Path, *, epoch: int, work: Path) -> None:
    """Put `epoch` in place of the moments at which mke2fs saw each file read and changed."""
    with disk.open("rb") as file:
        file.seek(FIRST_PARTITION * SECTOR + 1024)
        count, *_, free = struct.unpack("<5I", file.read(20))
    moment = f"@{epoch}"
    fields = ("atime", "ctime")
    lines = "".join(
        f"set_inode_field <{number}> {name} {moment}\n"
        for number in range(_FIRST_INODE, count - free + 1)
        for name in fields
    )
    script = work / "times"
    script.write_text(lines, encoding="ascii")
    place = f"{disk}?offset={FIRST_PARTITION * SECTOR}"
    env = {"E2FSPROGS_FAKE_TIME": str(epoch)}
    run([tool("debugfs"), "-w", "-f", str(script), place], what="setting times of files", env=env)


def as_root() -> list[str]:
    """Return the prefix under which a command sees itself as root, with owners that it can set.

    A user namespace where this user may have one; fakeroot else, under which some releases of mke2fs lose files.
    """
    if os.geteuid() == 0:
        return []
    namespace = ["unshare", "--user", "--map-root-user", "--map-auto"]
    if shutil.which("unshare"):
        tried = subprocess.run([*namespace, "true"], capture_output=True, check=False)
        if tried.returncode == 0 or not shutil.which("fakeroot"):
            return namespace
    return [tool("fakeroot")]


def to_qcow2(disk: Path, target: Path) -> None:
    """Convert a raw disk to a compressed qcow2 that any QEMU since 1.1 reads."""
    command = [tool("qemu-img"), "convert", "-f", "raw", "-O", "qcow2", "-c", "-o", "compat=1.1"]
    run([*command, str(disk), str(target)], what="converting to qcow2")
