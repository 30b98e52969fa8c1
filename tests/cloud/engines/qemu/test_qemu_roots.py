"""Root disks that are kept, settled and brought back: what was written when is there, or is not."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from armillary.base.units import GiB
from armillary.cloud.engines.qemu.drives import root_chain

pytestmark = pytest.mark.vm
OLD, NEW = 16, 32
"""Places on the disk in MiB, behind the boot sector's image."""


class Disk:
    """A stopped machine's root disk, written and read as its guest would."""

    def __init__(self, bench):
        self.bench = bench
        self.spec = bench.boots()
        bench.machines.stop(self.spec.id, hard=True)
        self.files = bench.files(self.spec)

    def io(self, command: str) -> bool:
        chain = json.dumps(root_chain(self.files, self.bench.image, "raw"))
        done = subprocess.run(
            ["qemu-io", "-c", command, f"json:{chain}"], capture_output=True, text=True, check=False
        )
        differs = "verification failed" in done.stdout
        assert differs or done.returncode == 0, done.stderr
        return not differs

    def write(self, place: int) -> None:
        self.io(f"write -P 0x41 {place}M 64k")

    def has(self, place: int) -> bool:
        return self.io(f"read -P 0x41 {place}M 64k")

    def boot(self, **changes: object) -> None:
        self.bench.machines.boot(replace(self.spec, **changes))

    def stop(self) -> None:
        self.bench.machines.stop(self.spec.id, hard=True)


@pytest.fixture
def disk(bench) -> Disk:
    made = Disk(bench)
    made.write(OLD)
    bench.machines.keep_root(made.spec.id)
    made.boot(root_disk=GiB(2))
    made.stop()
    made.write(NEW)
    return made


def leans_on(disk: Path) -> str:
    told = subprocess.run(["qemu-img", "info", "--output=json", disk], capture_output=True, check=True).stdout
    return Path(json.loads(told)["backing-filename"]).name


def test_bringing_the_kept_disk_back_drops_what_was_written_since(disk, bench):
    assert disk.has(OLD)
    assert disk.has(NEW)
    bench.machines.restore_root(disk.spec.id)
    assert disk.has(OLD)
    assert not disk.has(NEW)


@pytest.mark.parametrize("running", [True, False])
def test_settling_takes_in_what_the_kept_disk_held(disk, bench, running):
    if running:
        disk.boot(root_disk=GiB(2))
    bench.machines.settle_root(disk.spec.id)
    disk.stop()
    assert not disk.files.kept.exists()
    assert leans_on(disk.files.root) == bench.image.name
    assert disk.has(OLD)
    assert disk.has(NEW)


def test_settling_may_happen_while_the_machine_is_suspended(disk, bench):
    disk.boot(root_disk=GiB(2))
    bench.machines.suspend(disk.spec.id)
    bench.machines.settle_root(disk.spec.id)
    bench.machines.resume(disk.spec)
    disk.stop()
    assert disk.has(OLD)
    assert not disk.files.kept.exists()


def test_a_settling_that_was_killed_before_its_end_can_be_repeated(disk, bench, tmp_path):
    shutil.copy(disk.files.kept, tmp_path / "kept")
    bench.machines.settle_root(disk.spec.id)
    shutil.copy(tmp_path / "kept", disk.files.kept)
    disk.boot(root_disk=GiB(2))
    bench.machines.settle_root(disk.spec.id)
    disk.stop()
    assert not disk.files.kept.exists()
    assert disk.has(OLD)
    assert disk.has(NEW)


def test_a_disk_that_was_set_aside_and_never_left_is_settled_by_bringing_it_back(bench):
    disk = Disk(bench)
    disk.write(OLD)
    bench.machines.keep_root(disk.spec.id)
    bench.machines.settle_root(disk.spec.id)
    assert disk.has(OLD)
    disk.boot()


def test_a_snapshot_holds_what_the_kept_disk_and_the_new_one_hold(disk, bench, tmp_path):
    bench.machines.snapshot(disk.spec.id, tmp_path / "snapshot")
    for place in (OLD, NEW):
        told = subprocess.run(
            ["qemu-io", "-c", f"read -P 0x41 {place}M 64k", tmp_path / "snapshot"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "verification failed" not in told.stdout


def test_a_forgotten_disk_holds_nothing_of_the_old_one(disk, bench):
    bench.machines.forget_root(disk.spec.id)
    assert not disk.files.root.exists()
    disk.boot()
    disk.stop()
    assert not disk.has(OLD)
    assert not disk.has(NEW)


def test_a_forgetting_that_was_killed_half_way_is_finished_by_the_next_boot(disk):
    disk.files.anew.touch()
    disk.files.kept.unlink()
    disk.boot()
    disk.stop()
    assert not disk.has(OLD)
    assert not disk.files.anew.exists()


def test_a_rescued_machine_writes_to_a_disk_that_is_thrown_away(bench):
    from armillary.cloud.model import RescueSpec

    disk = Disk(bench)
    disk.write(OLD)
    rescue = RescueSpec(image_path=bench.image, image_format="raw")
    disk.boot(rescue=rescue)
    assert disk.files.rescue.exists()
    disk.stop()
    disk.boot()
    disk.stop()
    assert not disk.files.rescue.exists()
    assert disk.has(OLD)
