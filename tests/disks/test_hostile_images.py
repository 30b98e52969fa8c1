"""Images that mean harm are refused, or read as far as they are sound, within bounds, and nothing else is opened."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from armillary.base.errors import ArmillaryError, Invalid, TooLarge
from armillary.disks import bounded
from armillary.disks.manifests import packed, unpacked
from armillary.disks.model import Bounds
from armillary.disks.reading import read_image
from small_images import DEBIAN, debugfs, ext4, program, qcow2, run, with_table


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ext4(tmp_path_factory.mktemp("hostile") / "disk.raw")


def code_of(path: Path, **more: object) -> str:
    with pytest.raises(Invalid) as caught:
        read_image(path, **more)  # pyright: ignore[reportArgumentType]
    return caught.value.code


def outcome(path: Path) -> str:
    """The code of the refusal, or whether problems were named. Any other exception passes through, and fails the test."""
    try:
        found = read_image(path, bounds=Bounds(files=2000, hashed=64 << 20, one_file=16 << 20))
    except ArmillaryError as error:
        return error.code
    return "problems" if found.problems else "sound"


def changed(image: Path, target: Path, at: int, data: bytes) -> Path:
    target.write_bytes(image.read_bytes())
    with target.open("r+b") as file:
        file.seek(at)
        file.write(data)
    return target


def test_a_backing_file_that_an_image_names_is_never_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"root:x:0:0:\n" * 100_000)
    image = tmp_path / "image.qcow2"
    run([program("qemu-img"), "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(secret), str(image)])
    os.utime(secret, ns=(0, 0))
    assert code_of(image) == "image_needs_backing"
    assert secret.stat().st_atime_ns == 0


def test_a_data_file_that_an_image_names_is_never_opened(tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    place = f"data_file={tmp_path}/data,data_file_raw=on"
    run([program("qemu-img"), "create", "-q", "-f", "qcow2", "-o", place, str(image), "1M"])
    with pytest.raises(Invalid, match="another file"):
        read_image(image)


def test_a_link_in_place_of_the_image_is_not_followed(raw: Path, tmp_path: Path) -> None:
    link = tmp_path / "image.raw"
    link.symlink_to(raw)
    with pytest.raises(Invalid, match="cannot be read"):
        bounded.read(link)


@pytest.mark.parametrize("options", [(), ("-c",)], ids=["plain", "packed"])
def test_a_truncated_image_is_refused_or_its_files_are_named(
    raw: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    whole = qcow2(raw, tmp_path / "whole.qcow2", *options)
    for part in (3, 50, 90):
        short = tmp_path / f"{part}.qcow2"
        short.write_bytes(whole.read_bytes()[: whole.stat().st_size * part // 100])
        assert outcome(short) in ("image_unreadable", "image_without_system", "problems")


def test_tables_that_do_not_fit_are_refused(raw: Path, tmp_path: Path) -> None:
    whole = qcow2(raw, tmp_path / "whole.qcow2")
    huge = changed(whole, tmp_path / "huge", 24, struct.pack(">Q", 1 << 62))
    many = changed(whole, tmp_path / "many", 36, struct.pack(">I", 0xFFFFFFFF))
    unknown = changed(whole, tmp_path / "unknown", 72, struct.pack(">Q", 1 << 40))
    big = changed(whole, tmp_path / "big", 20, struct.pack(">I", 63))
    for image in (huge, many, unknown, big):
        assert code_of(image) == "image_unreadable"


def test_other_kinds_of_images_are_named(tmp_path: Path) -> None:
    image = tmp_path / "image.vmdk"
    run([program("qemu-img"), "create", "-q", "-f", "vmdk", str(image), "1M"])
    assert code_of(image) == "image_format"
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    assert code_of(empty) == "image_without_system"


def test_a_partition_beyond_the_end_of_the_disk_is_no_way_out(tmp_path: Path) -> None:
    disk = with_table(tmp_path / "disk.raw")
    far = changed(disk, tmp_path / "far", 446 + 8, struct.pack("<II", 1 << 31, 1 << 31))
    assert code_of(far).startswith("image_")


def test_a_loop_of_directories_is_walked_once_and_named(tmp_path: Path) -> None:
    disk = ext4(tmp_path / "disk.raw", {**DEBIAN, "usr/a/b/c": ""})
    debugfs(disk, "link /usr /usr/a/b/again")
    found = read_image(disk)
    assert any("the same directory is elsewhere" in problem for problem in found.problems)
    assert len(found.files) < 100


def test_a_file_of_terabytes_that_takes_no_room_is_not_read(tmp_path: Path) -> None:
    disk = ext4(tmp_path / "disk.raw", {**DEBIAN, "var/huge": "x"})
    debugfs(disk, "set_inode_field /var/huge size 8796093022208")
    found = read_image(disk)
    assert [f.sha256 for f in found.files if f.path == "var/huge"] == [""]
    assert any("too many to read" in problem for problem in found.problems)


def test_there_are_bounds_on_files_depth_names_and_bytes(raw: Path) -> None:
    for bounds in (Bounds(files=5), Bounds(name_bytes=50), Bounds(hashed=20)):
        assert code_of(raw, bounds=bounds) == "image_too_big"
    shallow = read_image(raw, bounds=Bounds(depth=1))
    assert any("deeper than" in problem for problem in shallow.problems)
    few = read_image(raw, bounds=Bounds(depth=0, problems=0))
    assert few.files == []


def test_a_list_that_is_larger_than_memory_is_for_is_neither_made_nor_read(raw: Path) -> None:
    found = read_image(raw)
    with pytest.raises(Invalid) as refused:
        packed(found, most=500)
    assert refused.value.code == "image_too_big"
    assert unpacked(packed(found), most=500) is None
    assert unpacked(packed(found)) == found


def test_names_that_are_no_text_or_no_names_do_no_harm(tmp_path: Path) -> None:
    disk = ext4(tmp_path / "disk.raw", {**DEBIAN, "etc/placeholder-one": "", "etc/placeholder-two": ""})
    data = disk.read_bytes()
    disk.write_bytes(
        data.replace(b"placeholder-one", b"\xff\xfe\x1b[2Jevil!!!!!").replace(
            b"placeholder-two", b"../../etc/passwd"[:15]
        )
    )
    found = read_image(disk)
    assert any(path.startswith("etc/\\xff") for path in (f.path for f in found.files))
    assert any("a name that none can have" in problem for problem in found.problems)
    assert not any(".." in f.path.split("/") for f in found.files)


def test_random_damage_is_told_and_never_ends_in_another_error(raw: Path, tmp_path: Path) -> None:
    data = bytearray(raw.read_bytes())
    for seed in range(40):
        damaged = bytearray(data)
        for step in range(200):
            at = (seed * 7919 + step * 104729) * 31 % (300 * 1024)
            damaged[at] ^= (seed + step) % 255 + 1
        image = tmp_path / "damaged"
        image.write_bytes(damaged)
        assert outcome(image).startswith(("image_", "problems", "sound"))


def test_the_reader_is_a_process_of_its_own_and_says_what_is_wrong(raw: Path, tmp_path: Path) -> None:
    told: list[str] = []
    found = unpacked(bounded.read(raw, progress=told.append))
    assert found is not None
    assert found.system.startswith("Debian")
    with pytest.raises(Invalid) as caught:
        bounded.read(tmp_path / "nothing")
    assert caught.value.code == "image_unreadable"
    with pytest.raises(TooLarge) as late:
        bounded.read(raw, seconds=0.0)
    assert late.value.code == "image_takes_too_long"
