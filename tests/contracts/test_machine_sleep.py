"""What every engine promises of machines that stand still."""

from dataclasses import replace

import pytest
from machine_bench import Bench

from armillary.base.units import GiB
from armillary.cloud.model import MachineState
from armillary.cloud.ports import BootFailed

RUNNING, PAUSED, SUSPENDED, STOPPED = (
    MachineState.RUNNING,
    MachineState.PAUSED,
    MachineState.SUSPENDED,
    MachineState.STOPPED,
)


def test_a_paused_machine_stands_until_it_goes_on(bench: Bench) -> None:
    spec = bench.boots()
    bench.machines.pause(spec.id)
    assert bench.state(spec) is PAUSED
    bench.machines.unpause(spec.id)
    assert bench.state(spec) is RUNNING


def test_pausing_and_going_on_may_be_repeated(bench: Bench) -> None:
    spec = bench.boots()
    bench.machines.pause(spec.id)
    bench.machines.pause(spec.id)
    assert bench.state(spec) is PAUSED
    bench.machines.unpause(spec.id)
    bench.machines.unpause(spec.id)
    assert bench.state(spec) is RUNNING


def test_a_machine_that_does_not_run_cannot_be_paused_suspended_or_go_on(bench: Bench) -> None:
    spec = bench.boots()
    bench.machines.stop(spec.id, hard=True)
    for call in (bench.machines.pause, bench.machines.unpause, bench.machines.suspend):
        with pytest.raises(BootFailed):
            call(spec.id)
    with pytest.raises(BootFailed):
        bench.machines.resume(spec)
    assert bench.state(spec) is STOPPED


def test_a_new_engine_finds_a_paused_machine_paused(bench: Bench) -> None:
    spec = bench.boots()
    bench.machines.pause(spec.id)
    assert bench.again().states() == {spec.id: PAUSED}


def test_booting_a_paused_machine_lets_it_go_on(bench: Bench) -> None:
    spec = bench.boots()
    bench.machines.pause(spec.id)
    bench.machines.boot(spec)
    assert bench.state(spec) is RUNNING


@pytest.mark.parametrize("hard", [True, False])
def test_a_paused_machine_can_be_reset_and_stopped(bench: Bench, hard: bool) -> None:
    spec = bench.boots()
    bench.machines.pause(spec.id)
    bench.machines.reboot(spec.id, hard=hard)
    assert bench.state(spec) is RUNNING
    bench.machines.pause(spec.id)
    bench.machines.stop(spec.id, hard=hard)
    assert bench.state(spec) is STOPPED


def test_a_suspended_machine_sleeps_and_wakes(bench: Bench) -> None:
    spec = bench.boots()
    bench.machines.suspend(spec.id)
    assert bench.state(spec) is SUSPENDED
    bench.machines.resume(spec)
    assert bench.state(spec) is RUNNING


def test_suspending_and_resuming_may_be_repeated(bench: Bench) -> None:
    spec = bench.boots()
    bench.machines.suspend(spec.id)
    bench.machines.suspend(spec.id)
    assert bench.state(spec) is SUSPENDED
    bench.machines.resume(spec)
    bench.machines.resume(spec)
    assert bench.state(spec) is RUNNING


def test_a_machine_sleeps_more_than_once(bench: Bench) -> None:
    spec = bench.boots()
    for _night in range(2):
        bench.machines.suspend(spec.id)
        bench.machines.resume(spec)
    assert bench.state(spec) is RUNNING


def test_a_suspended_machine_survives_the_engine_that_suspended_it(bench: Bench) -> None:
    spec = bench.boots()
    bench.machines.suspend(spec.id)
    again = bench.again()
    assert again.states() == {spec.id: SUSPENDED}
    again.resume(spec)
    assert again.states() == {spec.id: RUNNING}


def test_a_suspended_machine_is_neither_paused_nor_rebooted(bench: Bench) -> None:
    spec = bench.boots()
    bench.machines.suspend(spec.id)
    for call in (bench.machines.pause, bench.machines.unpause, bench.machines.reboot):
        with pytest.raises(BootFailed):
            call(spec.id)
    assert bench.state(spec) is SUSPENDED


@pytest.mark.parametrize("by", ["stopping", "booting"])
def test_stopping_or_booting_a_suspended_machine_drops_its_memory(bench: Bench, by: str) -> None:
    spec = bench.boots()
    bench.machines.suspend(spec.id)
    if by == "stopping":
        bench.machines.stop(spec.id)
        assert bench.state(spec) is STOPPED
    else:
        bench.machines.boot(spec)
        assert bench.state(spec) is RUNNING
        bench.machines.stop(spec.id, hard=True)
    with pytest.raises(BootFailed):
        bench.machines.resume(spec)


def test_a_resumed_machine_has_the_devices_that_it_was_suspended_with(bench: Bench) -> None:
    spec, volume = bench.boots(), bench.volume()
    bench.machines.plug_volume(spec.id, volume)
    bench.machines.plug_port(spec.id, bench.port())
    bench.machines.suspend(spec.id)
    bench.machines.resume(replace(spec, ports=()))
    assert bench.state(spec) is RUNNING
    assert bench.machines.grow_volume(spec.id, volume.id, GiB(2))


def test_a_suspended_machine_can_be_destroyed(bench: Bench) -> None:
    spec = bench.boots()
    bench.machines.suspend(spec.id)
    bench.machines.destroy(spec.id)
    assert bench.machines.states() == {}
