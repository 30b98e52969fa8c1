"""xfs, btrfs, GPT and rpm, of which the images of Fedora, Rocky and openSUSE are made: they say what ext4 says."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from disk_makers import EFI, LINUX, btrfs, rpm_database, rpm_header, with_gpt, xfs

from armillary.base.errors import Invalid
from armillary.disks.model import File, Manifest
from armillary.disks.reading import read_image
from small_images import DEBIAN, ROOT_UUID, ext4, tree

BIG = os.urandom(1 << 20) * 3
MANY = {f"usr/share/many/{number:04}-of-many-files.txt": f"{number}\n" for number in range(600)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system with what a reader may stumble over: large, empty and sparse files, a full folder, long links."""
    root = tree(tmp_path_factory.mktemp("system") / "root", {**DEBIAN, **MANY})
    (root / "usr/bin/big").write_bytes(BIG)
    (root / "usr/bin/big").chmod(0o755)
    (root / "etc/empty").touch()
    with (root / "var/holes").open("wb") as file:
        file.seek(3 << 20)
        file.write(b"end")
    # no longer than fits an inode: mkfs.xfs writes others without their header (xfsprogs before 6.10)
    (root / "etc/long-link").symlink_to("/" + "/".join(["a-folder-with-a-name"] * 10))
    return root


def facts(manifest: Manifest) -> dict[str, tuple[str, int, str, str, str]]:
    return {
        file.path: (
            file.kind,
            file.size if file.kind == "file" else 0,
            file.sha256,
            file.target,
            file.package,
        )
        for file in manifest.files
        if file.path != "lost+found"
    }


def files(manifest: Manifest) -> dict[str, File]:
    return {file.path: file for file in manifest.files}


@pytest.mark.parametrize("kind", ["xfs", "btrfs", "btrfs with small files apart", "btrfs mixed"])
def test_each_file_system_has_every_file_with_its_digest_its_package_and_no_problem(
    kind: str, folder: Path, tmp_path: Path
) -> None:
    options = {"btrfs mixed": ["--mixed"], "btrfs with small files apart": ["--nodesize", "4096"]}
    disk = tmp_path / "disk"
    image = xfs(disk, folder) if kind == "xfs" else btrfs(disk, folder, *options.get(kind, []))
    found = read_image(image)
    assert (found.problems, found.filesystem) == ([], kind.partition(" ")[0])
    assert found.system == "Debian GNU/Linux 12 (bookworm)"
    found_files = files(found)
    assert found_files["usr/bin/big"].sha256 == hashlib.sha256(BIG).hexdigest()
    assert found_files["usr/bin/big"].mode == 0o755
    assert found_files["var/holes"].size == (3 << 20) + 3
    expected = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert facts(found).keys() == expected
    for path, file in found_files.items():
        place = folder / path
        if file.kind == "file":
            assert file.sha256 == hashlib.sha256(place.read_bytes()).hexdigest(), path
        elif file.kind == "link":
            assert file.target == str(place.readlink())
    assert found_files["usr/bin/bash"].package == "bash"


def test_two_file_systems_with_the_same_files_are_the_same_to_us(folder: Path, tmp_path: Path) -> None:
    assert facts(read_image(xfs(tmp_path / "x", folder))) == facts(read_image(btrfs(tmp_path / "b", folder)))


def test_the_system_is_found_behind_other_parts_of_a_disk_with_gpt(tmp_path: Path) -> None:
    system = ext4(tmp_path / "root").read_bytes()
    disk = with_gpt(tmp_path / "disk", (EFI, b"\xeb\x3c\x90" + bytes(1 << 20)), (LINUX, system))
    found = read_image(disk)
    assert found.problems == []
    assert facts(found) == facts(read_image(tmp_path / "root"))


def test_a_part_that_fstab_mounts_is_read_where_it_is_mounted(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz").write_text("kernel")
    boot = btrfs(tmp_path / "boot.disk", tmp_path / "boot", "--label", "boot")
    system = {
        **DEBIAN,
        "etc/fstab": f"UUID={ROOT_UUID} / ext4 defaults 0 1\nLABEL=boot /boot btrfs defaults\n",
    }
    root = ext4(tmp_path / "root", {**system, "boot/hidden": "under the mount"})
    disk = with_gpt(tmp_path / "disk", (LINUX, boot.read_bytes()), (LINUX, root.read_bytes()))
    found = files(read_image(disk))
    assert found["boot/vmlinuz"].sha256 == hashlib.sha256(b"kernel").hexdigest()
    assert "boot/hidden" not in found


def test_a_part_that_we_do_not_read_is_named_beside_the_system(tmp_path: Path) -> None:
    volume = bytearray(1 << 20)
    volume[512:520] = b"LABELONE"
    crypt = b"LUKS\xba\xbe\0\2" + bytes(1 << 20)
    system = ext4(tmp_path / "root").read_bytes()
    parts = [(LINUX, bytes(volume)), (LINUX, crypt), (LINUX, system)]
    problems = " ".join(told(with_gpt(tmp_path / "disk", *parts)))
    assert "volume group (LVM)" in problems and "encrypted" in problems
    with pytest.raises(Invalid) as refused:
        read_image(with_gpt(tmp_path / "without", *parts[:2]))
    assert refused.value.code == "image_without_system"


def told(disk: Path) -> list[str]:
    """What is said of a disk that is damaged: problems, or why it is refused."""
    try:
        return list(read_image(disk).problems)
    except Invalid as refused:
        return [refused.code]


@pytest.mark.parametrize(("kind", "behind"), [("xfs", 512), ("btrfs", 0x11000)])
def test_of_a_file_system_that_is_damaged_behind_its_first_block_this_is_told(
    kind: str, behind: int, folder: Path, tmp_path: Path
) -> None:
    disk = {"xfs": xfs, "btrfs": btrfs}[kind](tmp_path / "disk", folder)
    assert told(disk) == []
    with disk.open("r+b") as file:
        file.seek(behind)
        file.write(b"\xa5" * (48 << 20))
    assert told(disk) != []


RPMS = [
    rpm_header({1000: "bash", 1001: "5.2.26", 1002: "3.fc40", 1022: "x86_64", 1116: [0], 1117: ["bash"], 1118: ["/usr/bin/"]}),
    rpm_header({1000: "sextractor", 1001: "2.28.2", 1002: "1.fc40", 1003: [2], 1022: "x86_64",
                1116: [0, 1], 1117: ["sextractor", "default.sex"], 1118: ["/usr/bin/", "/etc/"]}),
]  # fmt: skip


@pytest.mark.parametrize("where", ["usr/lib/sysimage/rpm", "var/lib/rpm"])
def test_packages_of_rpm_and_the_files_that_they_brought_are_known(where: str, tmp_path: Path) -> None:
    root = tree(
        tmp_path / "root", {"etc/os-release": 'PRETTY_NAME="Fedora Linux 40"\n', "usr/bin/bash": "#!\n"}
    )
    (root / where).mkdir(parents=True)
    (root / "etc/default.sex").write_text("DETECT_TYPE CCD\n")
    (root / "usr/bin/mine").write_text("by hand\n")
    rpm_database(root / where / "rpmdb.sqlite", RPMS)
    found = read_image(xfs(tmp_path / "disk", root))
    assert found.problems == []
    assert {(one.source, one.name, one.version, one.architecture) for one in found.packages} == {
        ("rpm", "bash", "5.2.26-3.fc40", "x86_64"),
        ("rpm", "sextractor", "2:2.28.2-1.fc40", "x86_64"),
    }
    owners = {path: file.package for path, file in files(found).items()}
    assert (owners["usr/bin/bash"], owners["etc/default.sex"]) == ("bash", "sextractor")
    assert owners["usr/bin/mine"] == ""


@pytest.mark.parametrize(
    "blob",
    [b"", b"\0" * 8, b"\xff" * 64, RPMS[0][:40], RPMS[0][:8] + b"\xff" * 16 + RPMS[0][24:]],
    ids=["nothing", "no tags", "too many tags", "cut off", "a tag that points nowhere"],
)
def test_a_package_that_cannot_be_read_is_told_and_the_others_are_known(blob: bytes, tmp_path: Path) -> None:
    root = tree(tmp_path / "root", {"etc/os-release": "", "usr/bin/bash": "#!\n"})
    (root / "var/lib/rpm").mkdir(parents=True)
    rpm_database(root / "var/lib/rpm/rpmdb.sqlite", [blob, RPMS[1]])
    found = read_image(btrfs(tmp_path / "disk", root))
    assert [one.name for one in found.packages] == ["sextractor"]
    assert any("package's record" in problem for problem in found.problems)


def test_a_database_of_rpm_that_is_none_is_told(tmp_path: Path) -> None:
    root = tree(
        tmp_path / "root",
        {"etc/os-release": "", "usr/bin/bash": "#!\n", "var/lib/rpm/rpmdb.sqlite": "x" * 200},
    )
    found = read_image(btrfs(tmp_path / "disk", root))
    assert found.packages == [] and any("rpmdb.sqlite" in problem for problem in found.problems)
