"""The maker of disks, run twice on one tree, gives the same files, and says in its manifest what it was made of."""

from __future__ import annotations

import re
import subprocess
import tarfile
import time
from pathlib import Path

from armillary.base.units import Bytes
from armillary.disks.reading import read_image
from armillary.recipes import mirror
from armillary.recipes.disk import BootFiles, make_disk, to_qcow2
from armillary.recipes.model import AptSource
from small_images import DEBIAN, program, tree

EPOCH = 1_700_000_000
UUID = "11111111-2222-3333-4444-555555555555"
BOOT = BootFiles(boot_img=bytes(510) + b"\x55\xaa", core_img=bytes(2048), kernel=b"", initrd=b"", packages={})


def made(folder: Path, system: Path) -> Path:
    folder.mkdir()
    size = Bytes(9 << 20)
    make_disk(system, disk=folder / "disk.raw", size=size, root_uuid=UUID, boot=BOOT, epoch=EPOCH)
    return folder / "disk.raw"


def test_two_disks_of_one_tree_are_the_same_bit_for_bit(tmp_path: Path) -> None:
    system = tmp_path / "system.tar"
    with tarfile.open(system, "w") as archive:
        archive.add(tree(tmp_path / "tree", DEBIAN), arcname=".")
    first, second = (made(tmp_path / name, system) for name in ("first", "second"))
    assert len(read_image(first).files) > 20
    assert first.read_bytes() == second.read_bytes()
    to_qcow2(first, tmp_path / "first.qcow2")
    to_qcow2(second, tmp_path / "second.qcow2")
    assert (tmp_path / "first.qcow2").read_bytes() == (tmp_path / "second.qcow2").read_bytes()


def test_no_file_is_younger_than_the_packages(tmp_path: Path) -> None:
    system = tmp_path / "system.tar"
    with tarfile.open(system, "w") as archive:
        archive.add(tree(tmp_path / "tree", DEBIAN), arcname=".")
    disk = made(tmp_path / "disk", system)
    assert _times(disk, "etc/motd") == {"atime": EPOCH, "mtime": EPOCH, "ctime": EPOCH, "crtime": EPOCH}
    assert time.time() > EPOCH


def _times(disk: Path, path: str) -> dict[str, int]:
    place = f"{disk}?offset={1 << 20}"
    told = subprocess.run(
        [program("debugfs"), "-R", f"stat /{path}", place], capture_output=True, text=True, check=True
    ).stdout
    found = re.findall(r"^ *([acr]*m?time): 0x([0-9a-f]+)", told, re.MULTILINE)
    return {name: int(moment, 16) for name, moment in found}


def test_the_state_of_the_archive_is_told_by_its_indexes(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    (archive / "dists/bookworm").mkdir(parents=True)
    (archive / "dists/bookworm/InRelease").write_text(
        "Suite: oldstable\nDate: Sat, 10 Jun 2023 08:53:33 UTC\n"
    )
    sources = [
        AptSource(uri=f"file://{archive}", suites=("bookworm", "bookworm-updates"), components=("main",))
    ]
    (found,) = mirror.released(sources, work=tmp_path)
    assert (found["suite"], found["date"]) == ("bookworm", "2023-06-10T08:53:33Z")
    assert len(found["sha256"]) == 64
