"""Kept volumes that a real QEMU process has open: copied at one moment, and grown."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.base.ids import VolumeId, new_uuid
from armillary.base.units import GiB
from armillary.cloud.engines.qemu import disks as tools
from armillary.cloud.engines.qemu.volumes import QemuVolumeDisks
from armillary.cloud.model import VolumeSpec

pytestmark = pytest.mark.vm

HELLO = b"hello".ljust(512, b".")


@pytest.fixture
def kept(tmp_path: Path) -> QemuVolumeDisks:
    return QemuVolumeDisks(directory=tmp_path / "volumes")


def test_a_volume_that_a_machine_has_open_is_copied_and_grown(bench, kept, tmp_path):
    image = tmp_path / "hello.raw"
    image.write_bytes(HELLO)
    kept.make("volume-1", GiB(1), source=image, source_format="raw")
    volume = VolumeSpec(id=VolumeId(new_uuid()), path=kept.path("volume-1"), format=kept.format)
    spec = bench.boots()
    bench.machines.plug_volume(spec.id, volume)

    through = kept.path("snapshot-1").with_suffix(".moment.part")
    assert bench.machines.copy_volume(spec.id, volume.id, through)
    kept.adopt("snapshot-1", through)
    kept.make("volume-2", GiB(2), source=kept.path("snapshot-1"), source_format=kept.format)
    kept.export("volume-2", tmp_path / "out.raw", disk_format="raw")
    with (tmp_path / "out.raw").open("rb") as file:
        assert file.read(5) == b"hello"

    assert bench.machines.grow_volume(spec.id, volume.id, GiB(3))
    bench.machines.unplug_volume(spec.id, volume.id)
    assert tools.virtual_size_of_overlay(kept.path("volume-1")) == 3 * 2**30
    assert kept.names() == {"volume-1", "volume-2", "snapshot-1"}
