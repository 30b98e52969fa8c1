"""Disk images of a few mebibytes, made here from trees of files."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
ROOT_UUID = "11111111-2222-3333-4444-555555555555"
STATUS = """\
Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: sextractor
Status: install ok installed
Architecture: amd64
Version: 2.28.2+ds-1
Description: finds sources
 of light: all of them
"""
DEBIAN: Mapping[str, str] = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "etc/fstab": "",
    "etc/motd": "welcome\n",
    "usr/bin/bash": "#!\n",
    "usr/bin/sextractor": "finds\n",
    "usr/local/bin/mine": "by hand\n",
    "var/lib/dpkg/status": STATUS,
    "var/lib/dpkg/info/bash.list": "/.\n/bin\n/bin/bash\n",
    "var/lib/dpkg/info/sextractor:amd64.list": "/.\n/usr/bin/sextractor\n",
    "usr/lib/python3/dist-packages/photutils-1.8.0.dist-info/METADATA": "Name: Phot_Utils\nVersion: 1.8.0\n",
    "opt/conda/conda-meta/astropy-6.0-py311.json": '{"name": "astropy", "version": "6.0", "build": "py311"}',
}
"""A system, as far as we look at it."""


def program(name: str) -> str:
    """Where a program is; mkfs is beside the path of a person."""
    found = shutil.which(name, path=_PATH)
    assert found, f"{name} is missing: armillary doctor says how to get it"
    return found


def tree(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files into a folder, with /bin as a link into /usr."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "bin").symlink_to("usr/bin")
    return folder


def ext4(target: Path, files: Mapping[str, str] = DEBIAN, *, offset: int = 0, mebibytes: int = 4) -> Path:
    """Make a disk with one file system, `offset` bytes in."""
    folder = tree(target.with_name(f"{target.name}.tree"), files)
    with target.open("wb") as file:
        file.truncate(offset + (mebibytes << 20))
    command = [program("mke2fs"), "-q", "-F", "-t", "ext4", "-U", ROOT_UUID, "-d", str(folder)]
    run([*command, "-E", f"offset={offset}", str(target), f"{mebibytes}m"])
    return target


def with_table(target: Path, files: Mapping[str, str] = DEBIAN, *, mebibytes: int = 4) -> Path:
    """Make a disk with an MBR and the file system in its only partition."""
    ext4(target, files, offset=1 << 20, mebibytes=mebibytes)
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", 2048, mebibytes * 2048)
    with target.open("r+b") as file:
        file.seek(446)
        file.write(entry)
        file.seek(510)
        file.write(b"\x55\xaa")
    return target


def qcow2(source: Path, target: Path, *options: str) -> Path:
    """Convert a raw disk."""
    run([program("qemu-img"), "convert", "-f", "raw", "-O", "qcow2", *options, str(source), str(target)])
    return target


def debugfs(image: Path, *commands: str, offset: int = 0) -> None:
    """Change a file system by hand."""
    place = f"{image}?offset={offset}" if offset else str(image)
    for command in commands:
        run([program("debugfs"), "-w", "-R", command, place])


def run(command: list[str]) -> None:
    """Run a command to its end."""
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
