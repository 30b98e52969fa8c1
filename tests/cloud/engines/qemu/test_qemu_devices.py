"""Devices that come and go in real QEMU processes: guests that hold on to them, and plugs that were killed half-way."""

from dataclasses import replace

import pytest
from qemu_bench import FLOATING_IP, answers, plan

from armillary.base.ids import PortId, new_uuid
from armillary.base.units import GiB
from armillary.cloud.engines.qemu import hardware
from armillary.cloud.engines.qemu.drives import volume_drive
from armillary.cloud.engines.qemu.hardware import volume_device
from armillary.cloud.engines.qemu.qmp import Monitor
from armillary.cloud.engines.qemu.tiny import boot_sector
from armillary.cloud.ports import BootFailed

pytestmark = pytest.mark.vm


def test_a_volume_is_closed_after_it_was_pulled_out(bench):
    spec, volume = bench.boots(), bench.volume()
    bench.machines.plug_volume(spec.id, volume)
    assert bench.has(spec, volume)
    bench.machines.unplug_volume(spec.id, volume.id)
    assert not bench.has(spec, volume)


def test_a_guest_that_does_not_let_go_keeps_its_disk(bench):
    bench.image.write_bytes(boot_sector(lets_go=False))
    bench.machines = bench.engine(unplug_seconds=0.5)
    spec, volume = bench.boots(), bench.volume()
    assert bench.says(spec)
    bench.machines.plug_volume(spec.id, volume)
    for _attempt in range(2):
        with pytest.raises(BootFailed, match="does not let go") as failure:
            bench.machines.unplug_volume(spec.id, volume.id)
        assert failure.value.code == "device_busy"
    assert bench.has(spec, volume)


def test_a_disk_that_the_guest_let_go_of_too_late_can_be_pulled_out_again(bench):
    bench.image.write_bytes(boot_sector(lets_go=False))
    bench.machines = bench.engine(unplug_seconds=0.5)
    spec, volume = bench.boots(), bench.volume()
    assert bench.says(spec)
    bench.machines.plug_volume(spec.id, volume)
    with pytest.raises(BootFailed):
        bench.machines.unplug_volume(spec.id, volume.id)
    bench.machines.reboot(spec.id, hard=True)  # at a reset QEMU takes out what was asked for
    bench.machines.unplug_volume(spec.id, volume.id)
    assert not bench.has(spec, volume)
    bench.machines.plug_volume(spec.id, volume)
    assert bench.has(spec, volume)


def test_devices_stay_when_the_machine_is_reset(bench):
    spec, volume = bench.boots(), bench.volume()
    bench.machines.plug_volume(spec.id, volume)
    bench.machines.reboot(spec.id, hard=True)
    assert bench.has(spec, volume)
    assert bench.machines.grow_volume(spec.id, volume.id, GiB(2))


def test_a_plug_that_was_killed_half_way_can_be_repeated_or_forgotten(bench):
    spec, volume = bench.boots(), bench.volume()
    files = bench.files(spec)
    planned = hardware.read(files).with_volume(volume)
    hardware.write(planned, files)
    with Monitor(files.monitor) as monitor:
        node = volume_drive(volume, planned.slots[volume_device(volume.id)]).node
        monitor.ask("blockdev-add", **node)
    again = bench.engine()
    again.plug_volume(spec.id, volume)
    again.unplug_volume(spec.id, volume.id)
    assert not bench.has(spec, volume)
    hardware.write(planned, files)
    again.suspend(spec.id)
    again.resume(spec)
    assert not bench.has(spec, volume), "what was never plugged in is not there after sleep"


def test_a_machine_without_a_free_slot_takes_no_more_and_says_so(bench):
    spec = bench.boots()
    volumes = [bench.volume() for _ in range(17)]
    for volume in volumes[:16]:
        bench.machines.plug_volume(spec.id, volume)
    with pytest.raises(BootFailed) as failure:
        bench.machines.plug_volume(spec.id, volumes[16])
    assert failure.value.code == "no_slot"
    bench.machines.unplug_volume(spec.id, volumes[3].id)
    bench.machines.plug_volume(spec.id, volumes[16])
    assert bench.has(spec, volumes[16])


def test_a_card_that_cannot_be_made_leaves_nothing(bench):
    spec = bench.boots()
    port = replace(spec.ports[0], id=PortId(new_uuid()), mac="no address")
    with pytest.raises(BootFailed):
        bench.machines.plug_port(spec.id, port)
    assert hardware.read(bench.files(spec)).spec.ports == spec.ports
    bench.machines.plug_port(spec.id, replace(port, mac="fa:16:3e:00:00:02"))


def test_forwards_of_a_card_that_was_pulled_out_come_back_with_it(bench):
    spec = bench.boots()
    bench.fabric.apply(plan(spec, 8022))
    bench.machines.unplug_port(spec.id, spec.ports[0].id)
    assert not answers((FLOATING_IP, 8022))
    bench.fabric.apply(plan(spec, 8022))
    bench.machines.plug_port(spec.id, spec.ports[0])
    bench.fabric.apply(plan(spec, 8022))
    assert answers((FLOATING_IP, 8022))
