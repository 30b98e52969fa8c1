"""Disks without root: what is written can be read back, and what cannot be made says why."""

import io
import subprocess
from dataclasses import replace
from pathlib import Path

import pycdlib
import pytest

from armillary.base.ids import ServerId
from armillary.base.units import GiB, MiB
from armillary.cloud.engines.qemu import disks
from armillary.cloud.model import MachineSpec
from armillary.cloud.ports import BootFailed

FILES = {
    "openstack/latest/meta_data.json": b'{"uuid": "1"}',
    "openstack/latest/network_data.json": b"{}",
    "openstack/2018-08-27/meta_data.json": b'{"uuid": "1"}',
    "ec2/latest/meta-data.json": b"{}",
    "openstack/latest/user_data": bytes(range(256)) * 256,
}


def read_back(iso_path: Path, path: str) -> bytes:
    iso = pycdlib.PyCdlib()
    iso.open(str(iso_path))
    try:
        content = io.BytesIO()
        iso.get_file_from_iso_fp(content, rr_path="/" + path)
        return content.getvalue()
    finally:
        iso.close()


def spec(image: Path, **changes: object) -> MachineSpec:
    made = MachineSpec(
        id=ServerId("s"), name="vm", vcpus=1, ram=MiB(128), root_disk=GiB(1), ephemeral_disk=GiB(0),
        image_path=image, image_format="raw", ports=(), config_drive={},
    )  # fmt: skip
    return replace(made, **changes)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    made = tmp_path / "image"
    made.write_bytes(b"\0" * 2**20)
    return made


def test_a_config_drive_gives_back_its_files(tmp_path):
    disks.make_config_drive(tmp_path / "c.iso", FILES)
    assert {path: read_back(tmp_path / "c.iso", path) for path in FILES} == FILES


def test_a_config_drive_has_the_label_that_cloud_init_looks_for(tmp_path):
    disks.make_config_drive(tmp_path / "c.iso", FILES)
    assert (tmp_path / "c.iso").read_bytes()[32768 + 40 :][:32].rstrip() == b"config-2"


def test_a_config_drive_is_closed_to_other_users(tmp_path):
    disks.make_config_drive(tmp_path / "c.iso", FILES)
    assert (tmp_path / "c.iso").stat().st_mode & 0o077 == 0


def test_a_root_disk_is_as_large_as_the_flavor_says(image, tmp_path):
    disks.make_root(spec(image, root_disk=GiB(3)), image, tmp_path / "root")
    assert disks.virtual_size_of_overlay(tmp_path / "root") == 3 * 2**30


def test_a_root_disk_of_size_zero_is_as_large_as_the_image(image, tmp_path):
    disks.make_root(spec(image, root_disk=GiB(0)), image, tmp_path / "root")
    assert disks.virtual_size_of_overlay(tmp_path / "root") == 2**20


def test_a_root_disk_grows_and_never_shrinks(image, tmp_path):
    disks.make_root(spec(image), image, tmp_path / "root")
    disks.grow_root(tmp_path / "root", GiB(2))
    disks.grow_root(tmp_path / "root", GiB(1))
    assert disks.virtual_size_of_overlay(tmp_path / "root") == 2 * 2**30


def test_an_image_larger_than_the_flavors_disk_is_refused_with_both_sizes(tmp_path):
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(5 * 2**30)
    with pytest.raises(BootFailed, match=r"5 GiB.*1 GiB") as failure:
        disks.make_root(spec(image), image, tmp_path / "root")
    assert failure.value.code == "root_disk_too_small"


def test_an_image_that_is_not_of_its_format_is_refused(image, tmp_path):
    with pytest.raises(BootFailed, match="not of the format"):
        disks.make_root(spec(image, image_format="qcow2"), image, tmp_path / "root")


def test_an_image_that_leans_on_another_file_is_refused(image, tmp_path):
    leaning = tmp_path / "leaning"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image), "-F", "raw", str(leaning)], check=True
    )
    with pytest.raises(BootFailed, match="leans on another file"):
        disks.make_root(spec(leaning, image_format="qcow2"), leaning, tmp_path / "root")


def test_an_ephemeral_disk_is_an_ext4_file_system_with_its_label(tmp_path):
    disks.make_ephemeral(tmp_path / "e", GiB(5))
    superblock = (tmp_path / "e").open("rb").read(2048)[1024:]
    assert superblock[56:58] == b"\x53\xef"
    assert superblock[120:136].rstrip(b"\0") == b"ephemeral0"
    assert (tmp_path / "e").stat().st_size == 5 * 2**30
    assert (tmp_path / "e").stat().st_blocks * 512 < 64 * 2**20


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("qemu-img: x: Could not resize: No space left on device", "disk_full"),
        ("qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory", "no_memory"),
        ("qemu-img: Could not open 'x': Image is not in qcow2 format", "bad_image"),
        ("something nobody foresaw", "boot_failed"),
    ],
)
def test_a_tools_complaint_becomes_a_message_for_people(said, code):
    error = disks.explain(f"qemu: warning: hub 1 with no nics\n{said}\n")
    assert error.code == code
    assert error.facts["said"] == said
