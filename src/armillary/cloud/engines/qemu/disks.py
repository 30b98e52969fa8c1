"""A machine's disks: an overlay over its image, a formatted ephemeral disk, the config drive."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pycdlib

from armillary.base.units import GiB, MiB, format_size
from armillary.cloud.model import MachineSpec
from armillary.cloud.ports import BootFailed

_GIB = 2**30
_PAGE = 4096
_SWAP_SIGN = b"SWAPSPACE2"


def virtual_size(image: Path, image_format: str) -> int:
    """Return the size in bytes of the disk that an image file holds.

    Raises:
        BootFailed: it is not there, not of that format, or leans on another file.
    """
    if not image.is_file():
        raise BootFailed("The image's file is gone.", code="image_missing", facts={"path": str(image)})
    found = cast(
        "dict[str, Any]",
        json.loads(run("qemu-img", "info", "--force-share", "--output=json", "-f", image_format, str(image))),
    )
    extra = cast("dict[str, Any]", found.get("format-specific", {}).get("data", {}))
    if "backing-filename" in found or "data-file" in extra:
        raise BootFailed("The image leans on another file, so it cannot be trusted.", code="bad_image")
    return int(found["virtual-size"])


def make_root(spec: MachineSpec, image: Path, target: Path) -> None:
    """Make the root disk: what the image holds, as large as the flavor says, and only the changes take space.

    Raises:
        BootFailed: the image is larger than the root disk, is bad, or the disk is full.
    """
    size = virtual_size(image, spec.image_format)
    wanted = spec.root_disk * _GIB or size
    if size > wanted:
        raise BootFailed(
            f"The image needs a root disk of {format_size(size)}, and the flavor has {format_size(wanted)}.",
            code="root_disk_too_small",
            remedy="Choose a flavor with a larger root disk.",
            facts={"image_bytes": size, "root_disk_bytes": wanted},
        )
    lay_over(target, image, spec.image_format, wanted)


def lay_over(target: Path, backing: Path, backing_format: str, size: int) -> None:
    """Make a disk of `size` bytes that begins as what `backing` holds, and never writes there; whole or not at all."""
    draft = target.with_name(target.name + ".draft")
    draft.unlink(missing_ok=True)
    try:
        beneath = ("-b", str(backing.absolute()), "-F", backing_format)
        run("qemu-img", "create", "-q", "-f", "qcow2", *beneath, str(draft), str(size))
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def grow_root(target: Path, size: GiB) -> None:
    """Make an existing root disk at least `size` large. It never shrinks."""
    if virtual_size_of_overlay(target) < size * _GIB:
        run("qemu-img", "resize", "-q", "-f", "qcow2", str(target), str(size * _GIB))


def virtual_size_of_overlay(target: Path) -> int:
    """Return the size in bytes that a root disk shows to its machine (from the qcow2 header, big-endian at 24)."""
    with target.open("rb") as file:
        return int.from_bytes(file.read(32)[24:32], "big")


def make_ephemeral(target: Path, size: GiB) -> None:
    """Make an empty ext4 file system labelled `ephemeral0` in a sparse file; no root right, no mount needed."""
    draft = target.with_name(target.name + ".draft")
    with draft.open("wb") as file:
        os.truncate(file.fileno(), size * _GIB)
    # Lazy: the guest writes the inode tables when it has time, and the file stays sparse.
    options = "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0"
    run("mkfs.ext4", "-q", "-F", "-L", "ephemeral0", "-m", "0", "-E", options, str(draft))
    draft.replace(target)


def make_swap(target: Path, size: MiB) -> None:
    """Make swap space labelled `swap0` in a sparse file (the header that Linux's swapon reads, `union swap_header`)."""
    octets = size * 2**20
    header = struct.pack("<III16s16s", 1, octets // _PAGE - 1, 0, uuid.uuid4().bytes, b"swap0")
    page = (b"\0" * 1024 + header).ljust(_PAGE - len(_SWAP_SIGN), b"\0") + _SWAP_SIGN
    with target.open("wb") as file:
        file.write(page)
        file.truncate(octets)


def make_config_drive(target: Path, files: Mapping[str, bytes]) -> None:
    """Write the files as an ISO 9660 image labelled `config-2` (Joliet and Rock Ridge names), whole or not at all."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="config-2")
    folders: dict[str, str] = {"": ""}
    for number, (path, content) in enumerate(sorted(files.items())):
        *parents, name = path.strip("/").split("/")
        for depth in range(1, len(parents) + 1):
            folder = "/".join(parents[:depth])
            if folder not in folders:
                # plain ISO names are eight capitals; nobody reads them beside Rock Ridge, they need only be unique
                folders[folder] = f"{folders['/'.join(parents[: depth - 1])]}/D{len(folders):06}"
                iso.add_directory(folders[folder], rr_name=parents[depth - 1], joliet_path=f"/{folder}")
        iso_path = f"{folders['/'.join(parents)]}/F{number:06}.;1"
        joliet_path = "/" + "/".join([*parents, name])
        iso.add_fp(io.BytesIO(content), len(content), iso_path, rr_name=name, joliet_path=joliet_path)
    partial = target.with_name(target.name + ".partial")
    try:
        with partial.open("wb") as file:
            partial.chmod(0o600)  # user data may hold secrets
            iso.write_fp(file)
            # of whole mebibytes, so that a machine may find another drive in the place of the one that it knew
            file.truncate(-(-file.seek(0, io.SEEK_END) // 2**20) * 2**20)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise explain(str(error)) from error
    finally:
        iso.close()


def find_program(name: str) -> str | None:
    """Return where a program is; mkfs lives where Debian's PATH for users does not lead."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def run(*command: str) -> str:
    """Run a tool and return what it prints.

    Raises:
        BootFailed: it failed; the message says why in a person's words.
    """
    program = find_program(command[0])
    if program is None:
        raise BootFailed(
            f"The program {command[0]} is not installed on this computer.",
            code="tool_missing",
            remedy="Run `armillary doctor`: it names the package.",
        )
    words = [program, *command[1:]]
    done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise explain(done.stderr or done.stdout)
    return done.stdout


_REASONS = (
    ("No space left on device", "disk_full", "The computer's disk is full.", "Delete machines or images."),
    (
        "Disk quota exceeded",
        "disk_full",
        "The disk quota of this user is used up.",
        "Delete machines or images.",
    ),
    ("File too large", "disk_full", "The file system cannot hold so large a file.", ""),
    (
        "Cannot allocate memory",
        "no_memory",
        "The computer has not enough memory free.",
        "Choose a smaller flavor.",
    ),
    (
        "cannot set up guest memory",
        "no_memory",
        "The computer has not enough memory free.",
        "Choose a smaller flavor.",
    ),
    (
        "Image is not in",
        "bad_image",
        "The image is not of the format that it claims.",
        "Import the image again.",
    ),
    ("Image is corrupt", "bad_image", "The image is damaged.", "Import the image again."),
    (
        "Unknown driver",
        "bad_image",
        "The image has a format that cannot be run here.",
        "Convert it to qcow2.",
    ),
    ('Failed to get "write" lock', "disk_busy", "Another process uses the machine's disk.", ""),
    ("Permission denied", "not_permitted", "A file or device of this computer may not be opened.", ""),
    ("failed to initialize kvm", "no_kvm", "KVM does not work here.", "Run `armillary doctor`."),
)


def explain(printed: str) -> BootFailed:
    """Return the error that a person understands for what a tool or QEMU printed; the last line is kept as a fact."""
    lines = [line for line in printed.splitlines() if line.strip() and "warning:" not in line]
    last = lines[-1].strip() if lines else "it said nothing"
    for sign, code, message, remedy in _REASONS:
        if sign.lower() in printed.lower():
            return BootFailed(message, code=code, remedy=remedy, facts={"said": last})
    return BootFailed(f"The machine could not be made: {last}", facts={"said": last})


def free_memory_mib() -> int:
    """Return how much memory new processes may use without swapping, in MiB (Linux's own estimate)."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0
