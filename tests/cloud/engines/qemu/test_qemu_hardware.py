"""The record of a machine's devices: what is written can be read, and slots stay whose they are."""

from dataclasses import replace
from pathlib import Path

import pytest

from armillary.base.ids import NetworkId, PortId, ServerId, VolumeId
from armillary.base.units import GiB, MiB
from armillary.cloud.engines.qemu import hardware
from armillary.cloud.engines.qemu.hardware import Hardware, card_device, hardware_of, volume_device
from armillary.cloud.engines.qemu.layout import Layout, MachineFiles
from armillary.cloud.model import MachineSpec, PortSpec, RescueSpec, VolumeSpec
from armillary.cloud.ports import BootFailed


def port(number: int) -> PortSpec:
    return PortSpec(
        id=PortId(f"p{number}"), network_id=NetworkId("n"), mac=f"fa:16:3e:00:00:0{number}",
        fixed_ip=f"10.0.0.{number}", cidr="10.0.0.0/24", gateway_ip="10.0.0.254",
    )  # fmt: skip


def volume(number: int) -> VolumeSpec:
    return VolumeSpec(id=VolumeId(f"v{number}"), path=Path(f"/volumes/{number}"), format="qcow2")


SPEC = MachineSpec(
    id=ServerId("s"), name="vm", vcpus=1, ram=MiB(128), root_disk=GiB(1), ephemeral_disk=GiB(0),
    image_path=Path("/images/a"), image_format="raw", ports=(port(1),), volumes=(volume(1), volume(2)),
    config_drive={"user_data": b"secret"}, rescue=RescueSpec(image_path=Path("/images/r"), image_format="raw"),
)  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> MachineFiles:
    made = Layout(directory=tmp_path).machine(SPEC.id)
    made.folder.mkdir(parents=True)
    return made


def made(spec: MachineSpec = SPEC) -> Hardware:
    return hardware_of(spec, accelerator="tcg")


def test_what_is_written_down_is_read_again(files):
    hardware.write(made(), files)
    assert hardware.read(files) == made()


def test_what_the_config_drive_holds_is_not_written_down(files):
    hardware.write(made(), files)
    assert b"secret" not in files.spec.read_bytes()
    assert hardware.read(files).config_drive


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"spec": 1}'])
def test_a_record_that_is_missing_or_damaged_is_named(files, content):
    if content is not None:
        files.spec.write_bytes(content)
    with pytest.raises(BootFailed, match="record"):
        hardware.read(files)


def test_a_pulled_device_leaves_the_others_where_they_are():
    before = made()
    after = before.without([volume_device(VolumeId("v1"))])
    assert [each.id for each in after.spec.volumes] == ["v2"]
    assert after.slots[volume_device(VolumeId("v2"))] == before.slots[volume_device(VolumeId("v2"))]
    assert after.slots[card_device(PortId("p1"))] == before.slots[card_device(PortId("p1"))]


def test_a_new_volume_comes_behind_the_others_as_long_as_there_is_room():
    slots = made().without([volume_device(VolumeId("v1"))]).with_volume(volume(3)).slots
    assert slots[volume_device(VolumeId("v3"))] > slots[volume_device(VolumeId("v2"))]
    full = made(replace(SPEC, volumes=tuple(volume(number) for number in range(16))))
    again = full.without([volume_device(VolumeId("v4"))]).with_volume(volume(99))
    assert again.slots[volume_device(VolumeId("v99"))] == full.slots[volume_device(VolumeId("v4"))]


def test_a_seventh_card_takes_a_slot_from_the_end_of_the_volumes():
    many = made(replace(SPEC, ports=tuple(port(number) for number in range(7))))
    assert many.slots[card_device(PortId("p6"))] == 31


def test_files_that_were_moved_are_looked_for_where_they_are_now():
    moved = replace(SPEC, image_path=Path("/new/a"), volumes=(replace(volume(2), path=Path("/new/2")),))
    found = made().where(moved)
    assert found.spec.image_path == Path("/new/a")
    assert [str(each.path) for each in found.spec.volumes] == ["/volumes/1", "/new/2"]
