"""What every engine promises of root disks that are kept, brought back and made anew."""

from dataclasses import replace
from pathlib import Path

import pytest
from machine_bench import Bench, disk_size

from armillary.base.ids import ServerId, new_uuid
from armillary.base.units import GiB
from armillary.cloud.model import MachineSpec, MachineState
from armillary.cloud.ports import BootFailed

_GIB = 2**30


@pytest.fixture
def spec(bench: Bench) -> MachineSpec:
    made = bench.boots()
    bench.machines.stop(made.id, hard=True)
    return made


def larger(spec: MachineSpec) -> MachineSpec:
    return replace(spec, root_disk=GiB(2))


def root_size(bench: Bench, spec: MachineSpec, tmp_path: Path) -> int:
    target = tmp_path / "root-now.qcow2"
    target.unlink(missing_ok=True)
    bench.machines.snapshot(spec.id, target)
    return disk_size(target)


def test_a_machine_goes_on_with_a_larger_copy_of_the_disk_that_was_set_aside(
    bench: Bench, spec: MachineSpec, tmp_path: Path
) -> None:
    bench.machines.keep_root(spec.id)
    bench.machines.boot(larger(spec))
    assert bench.state(spec) is MachineState.RUNNING
    assert root_size(bench, spec, tmp_path) == 2 * _GIB


def test_the_disk_that_was_set_aside_comes_back(bench: Bench, spec: MachineSpec, tmp_path: Path) -> None:
    bench.machines.keep_root(spec.id)
    bench.machines.boot(larger(spec))
    bench.machines.stop(spec.id, hard=True)
    bench.machines.restore_root(spec.id)
    bench.machines.restore_root(spec.id)
    bench.machines.boot(spec)
    assert root_size(bench, spec, tmp_path) == 1 * _GIB


def test_a_disk_that_was_set_aside_can_still_be_snapshotted(
    bench: Bench, spec: MachineSpec, tmp_path: Path
) -> None:
    bench.machines.keep_root(spec.id)
    assert root_size(bench, spec, tmp_path) == 1 * _GIB


def test_it_comes_back_before_any_boot_too(bench: Bench, spec: MachineSpec, tmp_path: Path) -> None:
    bench.machines.keep_root(spec.id)
    bench.machines.restore_root(spec.id)
    bench.machines.boot(spec)
    assert root_size(bench, spec, tmp_path) == 1 * _GIB


@pytest.mark.parametrize("running", [True, False])
def test_after_settling_there_is_no_way_back(
    bench: Bench, spec: MachineSpec, tmp_path: Path, running: bool
) -> None:
    bench.machines.keep_root(spec.id)
    bench.machines.boot(larger(spec))
    if not running:
        bench.machines.stop(spec.id, hard=True)
    bench.machines.settle_root(spec.id)
    bench.machines.settle_root(spec.id)
    assert (bench.state(spec) is MachineState.RUNNING) == running
    bench.machines.stop(spec.id, hard=True)
    bench.machines.restore_root(spec.id)
    bench.machines.boot(spec)
    assert root_size(bench, spec, tmp_path) == 2 * _GIB


def test_keeping_twice_keeps_the_older_disk(bench: Bench, spec: MachineSpec, tmp_path: Path) -> None:
    bench.machines.keep_root(spec.id)
    bench.machines.boot(larger(spec))
    bench.machines.stop(spec.id, hard=True)
    bench.machines.keep_root(spec.id)
    bench.machines.restore_root(spec.id)
    bench.machines.boot(spec)
    assert root_size(bench, spec, tmp_path) == 1 * _GIB


def test_a_settled_disk_can_be_set_aside_again(bench: Bench, spec: MachineSpec, tmp_path: Path) -> None:
    for size in (2, 3):
        bench.machines.keep_root(spec.id)
        bench.machines.boot(replace(spec, root_disk=GiB(size)))
        bench.machines.settle_root(spec.id)
        bench.machines.stop(spec.id, hard=True)
    assert root_size(bench, spec, tmp_path) == 3 * _GIB


def test_a_forgotten_disk_is_made_anew(bench: Bench, spec: MachineSpec, tmp_path: Path) -> None:
    bench.machines.boot(larger(spec))
    bench.machines.stop(spec.id, hard=True)
    bench.machines.forget_root(spec.id)
    bench.machines.forget_root(spec.id)
    assert bench.state(spec) is MachineState.STOPPED
    bench.machines.boot(spec)
    assert root_size(bench, spec, tmp_path) == 1 * _GIB


def test_disks_of_a_machine_that_is_not_stopped_are_left_alone(bench: Bench) -> None:
    spec = bench.boots()
    for call in (bench.machines.keep_root, bench.machines.restore_root, bench.machines.forget_root):
        with pytest.raises(BootFailed):
            call(spec.id)
    bench.machines.suspend(spec.id)
    for call in (bench.machines.keep_root, bench.machines.restore_root, bench.machines.forget_root):
        with pytest.raises(BootFailed):
            call(spec.id)
    bench.machines.resume(spec)
    assert bench.state(spec) is MachineState.RUNNING


def test_unknown_machines_have_no_disks_and_that_is_fine(bench: Bench) -> None:
    unknown = ServerId(new_uuid())
    for call in (
        bench.machines.keep_root,
        bench.machines.settle_root,
        bench.machines.restore_root,
        bench.machines.forget_root,
    ):
        call(unknown)
    assert bench.machines.states() == {}
