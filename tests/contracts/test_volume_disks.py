"""What every keeper of volumes' bytes promises, whatever the files are."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from armillary.base.units import GiB
from armillary.cloud.engines.fake.volumes import FakeVolumeDisks
from armillary.cloud.engines.qemu.volumes import QemuVolumeDisks
from armillary.cloud.volumes.ports import DiskFailed, VolumeDisks

BEGIN = b"what the image begins with".ljust(512, b".")


@dataclass
class Bench:
    disks: VolumeDisks
    directory: Path
    again: Callable[[], VolumeDisks]

    def image(self, content: bytes = BEGIN) -> Path:
        file = self.directory / "image.raw"
        file.write_bytes(content)
        return file

    def begins(self, name: str, length: int = len(BEGIN)) -> bytes:
        target = self.directory / "exported"
        self.disks.export(name, target, disk_format="raw")
        with target.open("rb") as file:
            return file.read(length)


@pytest.fixture(
    params=[
        pytest.param(FakeVolumeDisks, id="fake"),
        pytest.param(QemuVolumeDisks, id="qemu", marks=pytest.mark.vm),
    ]
)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    kept = tmp_path / "volumes"

    def make() -> VolumeDisks:
        return request.param(directory=kept)

    return Bench(make(), tmp_path, make)


def test_an_empty_volume_takes_no_room(bench: Bench) -> None:
    bench.disks.make("volume-1", GiB(4))
    assert bench.disks.names() == {"volume-1"}
    assert bench.disks.path("volume-1").stat().st_blocks * 512 < 2**20


def test_making_a_volume_again_makes_it_anew(bench: Bench) -> None:
    bench.disks.make("volume-1", GiB(1), source=bench.image(), source_format="raw")
    bench.disks.make("volume-1", GiB(1))
    assert bench.begins("volume-1") != BEGIN


def test_a_volume_from_an_image_outlives_the_image(bench: Bench) -> None:
    image = bench.image()
    bench.disks.make("volume-1", GiB(1), source=image, source_format="raw")
    image.unlink()
    assert bench.begins("volume-1") == BEGIN


def test_a_snapshot_keeps_the_moment_and_outlives_its_volume(bench: Bench) -> None:
    bench.disks.make("volume-1", GiB(1), source=bench.image(), source_format="raw")
    path = bench.disks.path("volume-1")
    bench.disks.make("snapshot-1", GiB(1), source=path, source_format=bench.disks.format)
    bench.disks.make("volume-1", GiB(1))
    bench.disks.remove("volume-1")
    origin = bench.disks.path("snapshot-1")
    bench.disks.make("volume-2", GiB(2), source=origin, source_format=bench.disks.format)
    assert bench.begins("volume-2") == BEGIN


def test_a_source_larger_than_the_volume_is_refused_and_leaves_nothing(bench: Bench) -> None:
    bench.disks.make("volume-1", GiB(2))
    with pytest.raises(DiskFailed, match="2 GiB, and the volume has 1 GiB"):
        path = bench.disks.path("volume-1")
        bench.disks.make("volume-2", GiB(1), source=path, source_format=bench.disks.format)
    assert bench.disks.names() == {"volume-1"}


def test_a_source_that_is_gone_is_named_and_leaves_nothing(bench: Bench) -> None:
    with pytest.raises(DiskFailed):
        bench.disks.make("volume-1", GiB(1), source=bench.directory / "nowhere", source_format="raw")
    assert bench.disks.names() == frozenset()


def test_a_failure_leaves_what_was_there_before(bench: Bench) -> None:
    bench.disks.make("volume-1", GiB(1), source=bench.image(), source_format="raw")
    with pytest.raises(DiskFailed):
        bench.disks.make("volume-1", GiB(1), source=bench.directory / "nowhere", source_format="raw")
    assert bench.begins("volume-1") == BEGIN


def test_growing_keeps_the_bytes_and_never_shrinks(bench: Bench) -> None:
    bench.disks.make("volume-1", GiB(1), source=bench.image(), source_format="raw")
    bench.disks.grow("volume-1", GiB(3))
    bench.disks.grow("volume-1", GiB(2))
    assert bench.begins("volume-1") == BEGIN
    with pytest.raises(DiskFailed):
        bench.disks.make(
            "volume-2", GiB(2), source=bench.disks.path("volume-1"), source_format=bench.disks.format
        )


def test_growing_what_is_not_there_fails(bench: Bench) -> None:
    with pytest.raises(DiskFailed):
        bench.disks.grow("volume-1", GiB(3))


def test_backups_give_back_what_the_volume_held_then(bench: Bench) -> None:
    later = b"later".ljust(512, b"!")
    bench.disks.make("volume-1", GiB(1), source=bench.image(), source_format="raw")
    bench.disks.back_up("backup-1", "volume-1")
    bench.disks.make("volume-1", GiB(1), source=bench.image(later), source_format="raw")
    bench.disks.back_up("backup-2", "volume-1", parent="backup-1")
    bench.disks.remove("volume-1")
    for backup, content in (("backup-1", BEGIN), ("backup-2", later)):
        origin = bench.disks.path(backup)
        bench.disks.make("volume-1", GiB(1), source=origin, source_format=bench.disks.format)
        assert bench.begins("volume-1") == content


def test_a_file_of_ours_is_taken_over(bench: Bench) -> None:
    bench.disks.make("volume-1", GiB(1), source=bench.image(), source_format="raw")
    file = bench.disks.path("volume-1").rename(bench.directory / "elsewhere")
    bench.disks.adopt("snapshot-1", file)
    assert bench.disks.names() == {"snapshot-1"}
    assert not file.exists()
    assert bench.begins("snapshot-1") == BEGIN


def test_a_qcow2_image_comes_out_standing_alone(bench: Bench) -> None:
    bench.disks.make("volume-1", GiB(1), source=bench.image(), source_format="raw")
    target = bench.directory / "image.qcow2"
    bench.disks.export("volume-1", target, disk_format="qcow2")
    header = target.read_bytes()[:16]
    assert header[:4] == b"QFI\xfb"
    assert not any(header[8:16]), "a backing file"


def test_exporting_what_is_not_there_leaves_no_file(bench: Bench) -> None:
    target = bench.directory / "image.raw"
    with pytest.raises(DiskFailed):
        bench.disks.export("volume-1", target, disk_format="raw")
    assert not target.exists()


def test_removing_may_be_repeated(bench: Bench) -> None:
    bench.disks.make("volume-1", GiB(1))
    bench.disks.remove("volume-1")
    bench.disks.remove("volume-1")
    assert bench.disks.names() == frozenset()


def test_what_a_killed_process_left_half_made_is_gone_after_a_restart(bench: Bench) -> None:
    bench.disks.make("volume-1", GiB(1))
    kept = bench.disks.path("volume-1")
    half = kept.with_name(kept.name.replace("1", "2") + ".part")
    half.write_bytes(b"half")
    assert bench.again().names() == {"volume-1"}
    assert not half.exists()
