"""A recipe and what is made of it before anything is installed."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from armillary.base.errors import NotFound
from armillary.recipes.debian import debian_12
from armillary.recipes.disk import boot_files, installed_packages, overlay_tar
from armillary.recipes.mirror import sources_for
from armillary.recipes.model import AptSource, BuildFailed, GuestFile, MissingTools
from armillary.recipes.run import run, tool
from armillary.recipes.service import build, locked, write_manifest
from armillary.recipes.wheels import unpack

MIRROR = "http://mirror.example/debian"
SOURCES = (AptSource(uri=MIRROR, suites=("bookworm",), components=("main",)),)


def test_the_key_changes_with_everything_that_goes_in() -> None:
    recipe = debian_12()
    file = GuestFile(content=b"new")
    others = [
        replace(recipe, version="other"),
        replace(recipe, packages=(*recipe.packages, "more")),
        replace(recipe, setup=recipe.setup + "true\n"),
        replace(recipe, files={**recipe.files, "etc/new": file}),
        replace(recipe, files={**recipe.files, "etc/new": replace(file, mode=0o755)}),
        replace(recipe, wheels=("vos==9",)),
    ]
    keys = {recipe.key(SOURCES), recipe.key(()), *(other.key(SOURCES) for other in others)}
    assert len(keys) == len(others) + 2
    assert recipe.key(SOURCES) == debian_12().key(SOURCES)


def test_the_image_gets_the_helpers_as_programs() -> None:
    files = debian_12().files
    for name in ("canfar_create_user", "canfar_setup_scratch", "canfar_batch_prepare"):
        assert files[f"usr/local/bin/{name}"].mode == 0o755
        assert files[f"usr/local/bin/{name}"].content.startswith(b"#!/usr/bin/python3\n")


def test_files_of_the_overlay_belong_to_root_and_bring_their_directories() -> None:
    files = {"etc/x/y.conf": GuestFile(content=b"y"), "usr/local/bin/z": GuestFile(content=b"z", mode=0o755)}
    with tarfile.open(fileobj=io.BytesIO(overlay_tar(files))) as archive:
        members = {member.name: member for member in archive}
    assert list(members) == ["./etc", "./etc/x", "./etc/x/y.conf", "./usr", "./usr/local", "./usr/local/bin",
                             "./usr/local/bin/z"]  # fmt: skip
    assert members["./usr/local/bin/z"].mode == 0o755
    assert {(member.uid, member.gid) for member in members.values()} == {(0, 0)}


def test_a_wheel_is_unpacked_with_its_scripts(tmp_path: Path) -> None:
    wheel = tmp_path / "vos-3.7-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("vos/__init__.py", "")
        archive.writestr("vos-3.7.data/purelib/extra.py", "")
        archive.writestr("vos-3.7.data/headers/x.h", "")
        archive.writestr(
            "vos-3.7.dist-info/entry_points.txt", "[console_scripts]\nVcp = vos.commands.vcp:vcp\n"
        )
    files = unpack(wheel, python="3.11")
    site = "usr/local/lib/python3.11/dist-packages"
    assert {f"{site}/vos/__init__.py", f"{site}/extra.py", "usr/local/bin/Vcp"} < set(files)
    assert not any(path.endswith("x.h") for path in files)
    script = files["usr/local/bin/Vcp"]
    assert script.mode == 0o755
    assert b"from vos.commands.vcp import vcp" in script.content


def test_installed_packages_are_read_from_dpkg() -> None:
    status = (
        "Package: a\nStatus: install ok installed\nVersion: 1.0\nDescription: x\n y: z\n\n"
        "Package: b\nStatus: deinstall ok config-files\nVersion: 2.0\n"
    )
    assert installed_packages(status) == {"a": "1.0"}


def test_a_tree_without_a_kernel_is_no_system(tmp_path: Path) -> None:
    system = tmp_path / "system.tar"
    system.write_bytes(overlay_tar({"var/lib/dpkg/status": GuestFile(content=b"")}))
    with pytest.raises(BuildFailed):
        boot_files(system)


def test_an_image_that_is_there_is_not_built_again(tmp_path: Path) -> None:
    recipe = debian_12()
    there = tmp_path / "images" / recipe.key(sources_for("bookworm", mirror=MIRROR))
    there.mkdir(parents=True)
    facts: dict[str, object] = {
        "name": "debian-12", "sha512": "ab" * 64, "size": 1, "virtual_size": 2, "disk_format": "qcow2",
    }  # fmt: skip
    write_manifest(there / "manifest.json", facts)
    (there / "vmlinuz").write_bytes(b"k")
    image = build("debian-12", cache=tmp_path, mirror=MIRROR)
    assert image.reused
    assert (image.path, image.kernel, image.initrd) == (there / "disk.qcow2", there / "vmlinuz", None)
    assert json.loads(json.dumps(image.as_dict()))["sha512"] == "ab" * 64


def test_an_unknown_recipe_names_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as refusal:
        build("debian-0", cache=tmp_path)
    assert refusal.value.facts == {"recipes": ["debian-12"]}


def test_who_waits_for_another_build_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    with locked(tmp_path / "lock", told.append):
        assert told == []
    with locked(tmp_path / "lock", told.append):
        assert told == []


def test_a_program_that_fails_is_quoted() -> None:
    with pytest.raises(BuildFailed, match="no such thing") as failure:
        run(["sh", "-c", "echo no such thing >&2; exit 3"], what="trying")
    assert failure.value.facts["exit_status"] == 3


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(MissingTools) as missing:
        tool("no-such-program")
    assert missing.value.remedy == "sudo apt-get install no-such-program"
