"""The maker of disks, run twice on one tree, gives the same files, and says in its manifest what it was made of."""

from __future__ import annotations

import subprocess
import tarfile
import time
from pathlib import Path

from armillary.base.units import Bytes
from armillary.disks.comparing import compare
from armillary.disks.reading import read_image
from armillary.recipes import mirror
from armillary.recipes.disk import BootFiles, make_disk
from armillary.recipes.model import AptSource
from small_images import DEBIAN, program, tree

UUID = "11111111-2222-3333-4444-555555555555"
BOOT = BootFiles(boot_img=bytes(510) + b"\x55\xaa", core_img=bytes(2048), kernel=b"", initrd=b"", packages={})


def made(folder: Path, system: Path) -> Path:
    folder.mkdir()
    size = Bytes(9 << 20)
    make_disk(system, disk=folder / "disk.raw", size=size, root_uuid=UUID, boot=BOOT, epoch=1_700_000_000)
    return folder / "disk.raw"


def test_two_disks_of_one_tree_have_the_same_files(tmp_path: Path) -> None:
    system = tmp_path / "system.tar"
    with tarfile.open(system, "w") as archive:
        archive.add(tree(tmp_path / "tree", DEBIAN), arcname=".")
    first, second = (read_image(made(tmp_path / name, system)) for name in ("first", "second"))
    found = compare(first, second)
    assert found.same_tree
    assert len(first.files) > 20


def test_no_file_is_younger_than_the_packages(tmp_path: Path) -> None:
    system = tmp_path / "system.tar"
    with tarfile.open(system, "w") as archive:
        archive.add(tree(tmp_path / "tree", DEBIAN), arcname=".")
    disk = made(tmp_path / "disk", system)
    (modified,) = _modified(disk, "etc/motd")
    assert modified == 1_700_000_000 < time.time()


def _modified(disk: Path, path: str) -> list[int]:
    place = f"{disk}?offset={1 << 20}"
    told = subprocess.run(
        [program("debugfs"), "-R", f"stat /{path}", place], capture_output=True, text=True, check=True
    ).stdout
    return [
        int(line.split()[1].split(":")[0], 16)
        for line in told.splitlines()
        if line.strip().startswith("mtime:")
    ]


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
