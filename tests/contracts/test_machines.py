"""What every engine's machines promise, whatever runs them."""

from dataclasses import replace
from pathlib import Path

import pytest
from machine_bench import Bench

from armillary.base.ids import ServerId, new_uuid
from armillary.base.units import GiB, MiB
from armillary.cloud.model import MachineState, RescueSpec
from armillary.cloud.ports import BootFailed


def test_a_booted_machine_runs(bench: Bench) -> None:
    spec = bench.spec()
    bench.machines.boot(spec)
    assert bench.machines.states()[spec.id] is MachineState.RUNNING


def test_booting_a_running_machine_again_changes_nothing(bench: Bench) -> None:
    spec = bench.spec()
    bench.machines.boot(spec)
    bench.machines.boot(spec)
    assert bench.machines.states() == {spec.id: MachineState.RUNNING}


def test_a_boot_that_fails_leaves_nothing_behind(bench: Bench, tmp_path: Path) -> None:
    spec = replace(bench.spec(), image_path=tmp_path / "no-such-image")
    with pytest.raises(BootFailed) as failure:
        bench.machines.boot(spec)
    assert failure.value.message
    assert bench.machines.states() == {}


def test_a_stopped_machine_keeps_its_disks_and_boots_again(bench: Bench) -> None:
    spec = bench.spec()
    bench.machines.boot(spec)
    bench.machines.stop(spec.id, hard=True)
    assert bench.machines.states()[spec.id] is MachineState.STOPPED
    bench.machines.boot(spec)
    assert bench.machines.states()[spec.id] is MachineState.RUNNING


def test_stopping_twice_or_an_unknown_machine_is_fine(bench: Bench) -> None:
    spec = bench.spec()
    bench.machines.boot(spec)
    bench.machines.stop(spec.id, hard=True)
    bench.machines.stop(spec.id, hard=True)
    bench.machines.stop(ServerId(new_uuid()))
    assert bench.machines.states() == {spec.id: MachineState.STOPPED}


def test_only_a_running_machine_reboots(bench: Bench) -> None:
    spec = bench.spec()
    with pytest.raises(BootFailed):
        bench.machines.reboot(spec.id, hard=True)
    bench.machines.boot(spec)
    bench.machines.reboot(spec.id, hard=True)
    assert bench.machines.states()[spec.id] is MachineState.RUNNING


def test_destroying_leaves_nothing_and_may_be_repeated(bench: Bench) -> None:
    spec = bench.spec()
    bench.machines.boot(spec)
    bench.machines.destroy(spec.id)
    bench.machines.destroy(spec.id)
    assert bench.machines.states() == {}
    assert bench.machines.console(spec.id) == b""


def test_a_snapshot_is_a_qcow2_file_that_stands_alone(bench: Bench, tmp_path: Path) -> None:
    spec = bench.spec()
    bench.machines.boot(spec)
    target = tmp_path / "snapshot.qcow2"
    bench.machines.snapshot(spec.id, target)
    header = target.read_bytes()[:16]
    assert header[:4] == b"QFI\xfb"
    assert header[8:16] == b"\0" * 8, "a backing file"
    assert bench.machines.states()[spec.id] is MachineState.RUNNING


def test_a_stopped_machine_can_be_snapshotted_too(bench: Bench, tmp_path: Path) -> None:
    spec = bench.spec()
    bench.machines.boot(spec)
    bench.machines.stop(spec.id, hard=True)
    bench.machines.snapshot(spec.id, tmp_path / "snapshot.qcow2")
    assert (tmp_path / "snapshot.qcow2").stat().st_size > 0


def test_a_snapshot_of_an_unknown_machine_leaves_no_file(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(BootFailed):
        bench.machines.snapshot(ServerId(new_uuid()), tmp_path / "snapshot.qcow2")
    assert not (tmp_path / "snapshot.qcow2").exists()


def test_a_new_engine_over_the_same_directory_finds_the_machines_again(bench: Bench) -> None:
    running, stopped = bench.spec(), bench.spec()
    bench.machines.boot(running)
    bench.machines.boot(stopped)
    bench.machines.stop(stopped.id, hard=True)
    assert bench.again().states() == {running.id: MachineState.RUNNING, stopped.id: MachineState.STOPPED}


def test_a_machine_boots_from_a_volume_and_has_no_root_disk_of_its_own(bench: Bench, tmp_path: Path) -> None:
    volume = replace(bench.volume(bootable=True), boot=True)
    spec = replace(bench.spec(), image_path=None, volumes=(volume,))
    bench.machines.boot(spec)
    assert bench.machines.states()[spec.id] is MachineState.RUNNING
    with pytest.raises(BootFailed):
        bench.machines.snapshot(spec.id, tmp_path / "snapshot.qcow2")
    assert not (tmp_path / "snapshot.qcow2").exists()
    bench.machines.destroy(spec.id)
    assert volume.path.exists(), "a volume outlives its machine"


def test_a_boot_without_one_of_its_volumes_fails_and_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    volume = replace(bench.volume(), path=tmp_path / "no-such-volume")
    with pytest.raises(BootFailed):
        bench.machines.boot(replace(bench.spec(), volumes=(volume,)))
    assert bench.machines.states() == {}


def test_a_rescued_machine_runs_from_another_image_and_goes_back_to_its_own_disk(bench: Bench) -> None:
    spec = bench.spec()
    bench.machines.boot(spec)
    bench.machines.stop(spec.id, hard=True)
    rescue = RescueSpec(image_path=bench.image, image_format=bench.image_format)
    bench.machines.boot(replace(spec, rescue=rescue))
    assert bench.machines.states()[spec.id] is MachineState.RUNNING
    bench.machines.stop(spec.id, hard=True)
    bench.machines.boot(spec)
    assert bench.machines.states()[spec.id] is MachineState.RUNNING


def test_a_machine_may_have_an_ephemeral_and_a_swap_disk(bench: Bench) -> None:
    spec = replace(bench.spec(), ephemeral_disk=GiB(1), swap_disk=MiB(64))
    bench.machines.boot(spec)
    assert bench.machines.states()[spec.id] is MachineState.RUNNING


def test_the_capacity_is_positive(bench: Bench) -> None:
    capacity = bench.machines.capacity()
    assert min(capacity.vcpus, capacity.ram, capacity.disk) > 0


def test_a_running_machine_tells_what_it_uses_and_a_stopped_one_nothing(bench: Bench) -> None:
    spec = bench.spec()
    assert bench.machines.measure(spec.id) is None
    bench.machines.boot(spec)
    use = bench.machines.measure(spec.id)
    assert use is not None
    assert len(use.cpu_nanoseconds) == spec.vcpus
    assert use.memory is not None
    assert 0 < use.memory < 4096
    assert use.disks
    bench.machines.stop(spec.id, hard=True)
    assert bench.machines.measure(spec.id) is None
