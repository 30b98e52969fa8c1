"""Images are read from their bytes: every kind of qcow2, file systems, packages."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from armillary.disks.manifests import packed, unpacked
from armillary.disks.model import File, Manifest
from armillary.disks.reading import read_image
from small_images import DEBIAN, ext4, program, qcow2, run, with_table


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_table(tmp_path_factory.mktemp("images") / "disk.raw")


@pytest.fixture(scope="module")
def manifest(raw: Path) -> Manifest:
    return read_image(raw)


def by_path(manifest: Manifest) -> dict[str, File]:
    return {file.path: file for file in manifest.files}


def test_every_file_has_its_digest_mode_owner_and_size(manifest: Manifest) -> None:
    assert manifest.system == "Debian GNU/Linux 12 (bookworm)"
    assert manifest.problems == []
    files = by_path(manifest)
    motd = files["etc/motd"]
    assert (motd.kind, motd.size, motd.sha256) == ("file", 8, hashlib.sha256(b"welcome\n").hexdigest())
    assert (files["bin"].kind, files["bin"].target) == ("link", "usr/bin")
    assert files["usr"].kind == "dir"
    assert {path for path, file in files.items() if file.kind == "file"} == set(DEBIAN)


def test_packages_of_the_system_of_python_and_of_conda_are_known(manifest: Manifest) -> None:
    known = {(package.source, package.name, package.version) for package in manifest.packages}
    assert known == {
        ("dpkg", "bash", "5.2.15-2"),
        ("dpkg", "sextractor", "2.28.2+ds-1"),
        ("python", "phot-utils", "1.8.0"),
        ("conda", "astropy", "6.0 py311"),
    }


def test_a_file_knows_its_package_also_where_the_record_says_bin_and_the_system_has_usr_bin(
    manifest: Manifest,
) -> None:
    files = by_path(manifest)
    assert files["usr/bin/bash"].package == "bash"
    assert files["usr/local/bin/mine"].package == ""


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-c",),
        ("-c", "-o", "compression_type=zstd"),
        ("-o", "compat=0.10"),
        ("-c", "-o", "cluster_size=512"),
        ("-o", "cluster_size=2M"),
    ],
    ids=["plain", "packed", "zstd", "version 2", "small clusters", "big clusters"],
)
def test_each_kind_of_qcow2_says_what_the_raw_disk_says(
    raw: Path, manifest: Manifest, tmp_path: Path, options: tuple[str, ...]
) -> None:
    assert read_image(qcow2(raw, tmp_path / "disk.qcow2", *options)) == manifest


def test_a_chain_of_images_is_read_with_the_files_that_the_caller_gives(
    raw: Path, manifest: Manifest, tmp_path: Path
) -> None:
    base = qcow2(raw, tmp_path / "base.qcow2")
    top = tmp_path / "top.qcow2"
    # larger than its base, as a machine's disk is
    create = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(top), "64M"]
    run([program("qemu-img"), *create])
    run([program("qemu-io"), "-c", "write -P 0x41 20M 64k", str(top)])
    assert read_image(top, backing=[base]) == manifest


def test_a_disk_without_a_partition_table_is_read(tmp_path: Path, manifest: Manifest) -> None:
    assert read_image(ext4(tmp_path / "disk.raw")).packages == manifest.packages


def test_a_manifest_comes_back_from_its_bytes_and_they_are_always_the_same(manifest: Manifest) -> None:
    assert unpacked(packed(manifest)) == manifest
    assert packed(manifest) == packed(manifest)
    assert unpacked(b"nothing of ours") is None


def test_contents_that_only_the_journal_has_are_read_as_the_next_boot_would(tmp_path: Path) -> None:
    disk = ext4(tmp_path / "disk.raw", {**DEBIAN, "etc/hostname": "before"}, mebibytes=16)
    other = tmp_path / "block"
    other.write_bytes(b"after!".ljust(4096, b"\0"))
    before = by_path(read_image(disk))["etc/hostname"]
    run([program("debugfs"), "-w", "-f", str(_journal_script(tmp_path, disk, other)), str(disk)])
    found = read_image(disk)
    assert not found.clean
    after = by_path(found)["etc/hostname"]
    assert after.sha256 == hashlib.sha256(b"after!").hexdigest() != before.sha256


def _journal_script(folder: Path, disk: Path, block: Path) -> Path:
    """Have debugfs write the block of /etc/hostname into the journal, and not to its place."""
    told = subprocess.run(
        [program("debugfs"), "-R", "blocks /etc/hostname", str(disk)],
        capture_output=True,
        text=True,
        check=True,
    )
    script = folder / "script"
    script.write_text(f"jo\njw -b {told.stdout.split()[0]} {block}\njc\n")
    return script
