"""Suspended machines: what is in memory goes on once and only once, whatever is killed half-way."""

import pytest
from qemu_bench import FLOATING_IP, answers, plan, until

from armillary.cloud.engines.qemu.qmp import Monitor
from armillary.cloud.model import MachineState
from armillary.cloud.ports import BootFailed

pytestmark = pytest.mark.vm


def test_what_is_in_memory_goes_on_and_does_not_begin_again(bench):
    spec = bench.boots()
    assert bench.says(spec)
    bench.machines.suspend(spec.id)
    assert bench.pid(spec) is None
    bench.machines.resume(spec)
    bench.machines.reboot(spec.id, hard=True)
    assert bench.says(spec, times=2)
    assert bench.machines.console(spec.id).count(b"alive") == 2, "one boot, and one restart"


def test_the_memory_is_closed_to_others_and_gone_after_the_machine_goes_on(bench):
    spec = bench.boots()
    bench.machines.suspend(spec.id)
    assert bench.files(spec).memory.stat().st_mode & 0o077 == 0
    bench.machines.resume(spec)
    assert not [path for path in bench.files(spec).folder.iterdir() if path.name.startswith("memory")]


def test_forwards_come_back_when_the_machine_does(bench):
    spec = bench.boots()
    bench.fabric.apply(plan(spec, 8022))
    bench.machines.suspend(spec.id)
    bench.fabric.apply(plan(spec, 8022))
    assert not answers((FLOATING_IP, 8022))
    bench.machines.resume(spec)
    bench.fabric.apply(plan(spec, 8022))
    assert answers((FLOATING_IP, 8022))


def test_a_machine_whose_memory_cannot_be_written_runs_on_with_its_network(bench):
    spec = bench.boots()
    bench.fabric.apply(plan(spec, 8022))
    bench.files(spec).memory_draft.symlink_to("/dev/full")
    with pytest.raises(BootFailed, match="disk is full"):
        bench.machines.suspend(spec.id)
    assert bench.state(spec) is MachineState.RUNNING
    bench.fabric.apply(plan(spec, 8022))
    assert answers((FLOATING_IP, 8022))
    bench.machines.suspend(spec.id)
    assert bench.state(spec) is MachineState.SUSPENDED


def test_a_damaged_memory_is_refused_and_kept(bench):
    spec = bench.boots()
    bench.machines.suspend(spec.id)
    memory = bench.files(spec).memory
    whole = memory.read_bytes()
    memory.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BootFailed):
        bench.machines.resume(spec)
    assert bench.state(spec) is MachineState.SUSPENDED
    assert bench.pid(spec) is None
    memory.write_bytes(whole)
    bench.machines.resume(spec)
    assert bench.state(spec) is MachineState.RUNNING


def test_a_machine_without_room_in_memory_stays_suspended(bench):
    spec = bench.boots()
    bench.machines.suspend(spec.id)
    with pytest.raises(BootFailed, match="10 MiB"):
        bench.engine(free_memory=lambda: 10).resume(spec)
    assert bench.state(spec) is MachineState.SUSPENDED


def test_a_suspension_that_was_killed_while_the_memory_was_written_can_be_repeated(bench):
    spec = bench.boots()
    with Monitor(bench.files(spec).monitor) as monitor:
        monitor.ask("stop")
    bench.files(spec).memory_draft.write_bytes(b"half")
    again = bench.engine()
    assert again.states() == {spec.id: MachineState.PAUSED}
    again.suspend(spec.id)
    assert again.states() == {spec.id: MachineState.SUSPENDED}
    again.resume(spec)
    assert again.states() == {spec.id: MachineState.RUNNING}


def test_a_suspension_that_was_killed_when_only_the_process_was_left_counts(bench):
    spec = bench.boots()
    bench.machines.suspend(spec.id)
    memory = bench.files(spec).memory.read_bytes()
    bench.machines.resume(spec)
    with Monitor(bench.files(spec).monitor) as monitor:
        monitor.ask("stop")
    bench.files(spec).memory.write_bytes(memory)
    before = bench.pid(spec)
    assert bench.state(spec) is MachineState.SUSPENDED
    with pytest.raises(BootFailed):
        bench.machines.unpause(spec.id)
    bench.machines.resume(spec)
    assert bench.state(spec) is MachineState.RUNNING
    assert bench.pid(spec) != before


def test_a_machine_that_was_killed_after_it_went_on_does_not_go_on_from_the_same_memory_twice(bench):
    spec = bench.boots()
    bench.machines.suspend(spec.id)
    files = bench.files(spec)
    memory = files.memory.read_bytes()
    bench.machines.resume(spec)
    files.spent_memory.write_bytes(memory)
    bench.machines.stop(spec.id, hard=True)
    assert bench.state(spec) is MachineState.STOPPED
    assert until(lambda: not files.spent_memory.exists())
    with pytest.raises(BootFailed):
        bench.machines.resume(spec)
