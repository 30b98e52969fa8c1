"""What every engine promises of cards and disks that come and go while machines run."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from machine_bench import Bench

from armillary.base.ids import PortId, ServerId, VolumeId, new_uuid
from armillary.base.units import GiB
from armillary.cloud.model import MachineState
from armillary.cloud.ports import BootFailed

RUNNING = MachineState.RUNNING


def test_a_volume_is_plugged_in_and_pulled_out_as_often_as_one_likes(bench: Bench) -> None:
    spec, volume = bench.boots(), bench.volume()
    for _time in range(2):
        bench.machines.plug_volume(spec.id, volume)
        bench.machines.plug_volume(spec.id, volume)
        bench.machines.unplug_volume(spec.id, volume.id)
        bench.machines.unplug_volume(spec.id, volume.id)
    assert bench.state(spec) is RUNNING
    assert volume.path.exists()


def test_a_volume_that_was_pulled_out_can_be_plugged_into_another_machine(bench: Bench) -> None:
    one, other, volume = bench.boots(), bench.boots(), bench.volume()
    bench.machines.plug_volume(one.id, volume)
    bench.machines.unplug_volume(one.id, volume.id)
    bench.machines.plug_volume(other.id, volume)
    assert bench.machines.grow_volume(other.id, volume.id, GiB(2))
    assert not bench.machines.grow_volume(one.id, volume.id, GiB(2))


def test_several_volumes_are_there_at_once(bench: Bench) -> None:
    spec, volumes = bench.boots(), [bench.volume() for _ in range(3)]
    for volume in volumes:
        bench.machines.plug_volume(spec.id, volume)
    bench.machines.unplug_volume(spec.id, volumes[1].id)
    bench.machines.plug_volume(spec.id, volumes[1])
    assert all(bench.machines.grow_volume(spec.id, volume.id, GiB(2)) for volume in volumes)


def test_a_port_is_plugged_in_and_pulled_out_as_often_as_one_likes(bench: Bench) -> None:
    spec, port = bench.boots(), bench.port()
    for _time in range(2):
        bench.machines.plug_port(spec.id, port)
        bench.machines.plug_port(spec.id, port)
        bench.machines.unplug_port(spec.id, port.id)
        bench.machines.unplug_port(spec.id, port.id)
    assert bench.state(spec) is RUNNING


def test_the_port_that_a_machine_was_booted_with_can_be_pulled_out(bench: Bench) -> None:
    spec = bench.boots()
    bench.machines.unplug_port(spec.id, spec.ports[0].id)
    bench.machines.plug_port(spec.id, spec.ports[0])
    assert bench.state(spec) is RUNNING


def test_a_machine_that_does_not_run_takes_no_devices_and_nobody_complains(bench: Bench) -> None:
    spec, volume = bench.boots(), bench.volume()
    bench.machines.stop(spec.id, hard=True)
    for server_id in (spec.id, ServerId(new_uuid())):
        bench.machines.plug_volume(server_id, volume)
        bench.machines.plug_port(server_id, bench.port())
        bench.machines.unplug_volume(server_id, volume.id)
        bench.machines.unplug_port(server_id, PortId(new_uuid()))
    bench.machines.boot(spec)
    assert not bench.machines.grow_volume(spec.id, volume.id, GiB(2))


def test_a_machine_boots_with_the_volumes_of_its_specification(bench: Bench) -> None:
    volume = bench.volume()
    spec = replace(bench.spec(), volumes=(volume,))
    bench.machines.boot(spec)
    assert bench.machines.grow_volume(spec.id, volume.id, GiB(2))
    bench.machines.unplug_volume(spec.id, volume.id)
    assert not bench.machines.grow_volume(spec.id, volume.id, GiB(2))


def test_devices_outlive_the_engine_that_plugged_them_in(bench: Bench) -> None:
    spec, volume = bench.boots(), bench.volume()
    bench.machines.plug_volume(spec.id, volume)
    again = bench.again()
    assert again.grow_volume(spec.id, volume.id, GiB(2))
    again.unplug_volume(spec.id, volume.id)
    assert not again.grow_volume(spec.id, volume.id, GiB(2))


def test_a_volume_whose_file_is_gone_is_not_plugged_in(bench: Bench) -> None:
    spec, volume = bench.boots(), bench.volume()
    volume.path.unlink()
    with pytest.raises(BootFailed):
        bench.machines.plug_volume(spec.id, volume)
    assert not bench.machines.grow_volume(spec.id, volume.id, GiB(2))
    assert bench.state(spec) is RUNNING


def test_growing_makes_the_file_larger_and_never_smaller(bench: Bench) -> None:
    spec, volume = bench.boots(), bench.volume()
    assert not bench.machines.grow_volume(spec.id, volume.id, GiB(2)), "nobody holds it"
    assert volume.path.stat().st_size == 2**30
    bench.machines.plug_volume(spec.id, volume)
    assert bench.machines.grow_volume(spec.id, volume.id, GiB(3))
    assert bench.machines.grow_volume(spec.id, volume.id, GiB(2))
    assert volume.path.stat().st_size == 3 * 2**30


def test_an_attached_volume_is_copied_as_it_is(bench: Bench, tmp_path: Path) -> None:
    spec, volume, target = bench.boots(), bench.volume(), tmp_path / "copy"
    with volume.path.open("r+b") as file:
        os.pwrite(file.fileno(), b"precious", 2**20)
    assert not bench.machines.copy_volume(spec.id, volume.id, target)
    assert not target.exists()
    bench.machines.plug_volume(spec.id, volume)
    assert bench.machines.copy_volume(spec.id, volume.id, target)
    with target.open("rb") as file:
        assert os.pread(file.fileno(), 8, 2**20) == b"precious"
    assert bench.state(spec) is RUNNING


def test_a_volume_that_nobody_knows_is_neither_grown_nor_copied(bench: Bench, tmp_path: Path) -> None:
    spec, unknown = bench.boots(), VolumeId(new_uuid())
    assert not bench.machines.grow_volume(spec.id, unknown, GiB(2))
    assert not bench.machines.copy_volume(spec.id, unknown, tmp_path / "copy")


def test_devices_come_and_go_on_a_machine_that_slept(bench: Bench) -> None:
    spec, volume = bench.boots(), bench.volume()
    port = bench.port()
    bench.machines.plug_volume(spec.id, volume)
    bench.machines.unplug_port(spec.id, spec.ports[0].id)
    bench.machines.plug_port(spec.id, port)
    bench.machines.suspend(spec.id)
    bench.machines.resume(spec)
    bench.machines.unplug_volume(spec.id, volume.id)
    bench.machines.unplug_port(spec.id, port.id)
    bench.machines.plug_volume(spec.id, bench.volume())
    assert bench.state(spec) is RUNNING


def test_a_suspended_machine_keeps_the_devices_that_its_memory_knows(bench: Bench) -> None:
    spec, volume = bench.boots(), bench.volume()
    bench.machines.plug_volume(spec.id, volume)
    bench.machines.suspend(spec.id)
    for change in (
        lambda: bench.machines.unplug_volume(spec.id, volume.id),
        lambda: bench.machines.plug_volume(spec.id, bench.volume()),
        lambda: bench.machines.unplug_port(spec.id, spec.ports[0].id),
        lambda: bench.machines.plug_port(spec.id, bench.port()),
    ):
        with pytest.raises(BootFailed):
            change()
    assert not bench.machines.grow_volume(spec.id, volume.id, GiB(2)), "its file is at rest"
    bench.machines.resume(spec)
    assert bench.machines.grow_volume(spec.id, volume.id, GiB(2))


def test_the_consoles_of_a_running_machine_answer(bench: Bench) -> None:
    offered = bench.machines.consoles(bench.boots().id)
    assert offered.display is not None
    assert offered.serial is not None
    with socket.socket(socket.AF_UNIX) as screen, socket.socket(socket.AF_UNIX) as line:
        screen.settimeout(10)
        screen.connect(str(offered.display))
        assert screen.recv(12, socket.MSG_WAITALL) == b"RFB 003.008\n"
        line.connect(str(offered.serial))
        assert line.send(b"\r") == 1


def test_consoles_are_offered_while_the_machine_runs_at_most(bench: Bench) -> None:
    spec = bench.boots()
    bench.machines.stop(spec.id, hard=True)
    for server_id in (spec.id, ServerId(new_uuid())):
        offered = bench.machines.consoles(server_id)
        assert (offered.serial, offered.display) == (None, None)
