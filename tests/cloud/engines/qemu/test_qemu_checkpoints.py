"""Checkpoints on real QEMU processes, with a boot sector for an operating system: what goes wrong, and what is left then."""

import os
import shutil
import signal
import threading
import time
from dataclasses import replace

import pytest
from qemu_bench import Bench, until

from armillary.base.ids import PortId, Sha512
from armillary.cloud.engines.qemu.checkpoints import Keeping, key_of
from armillary.cloud.engines.qemu.command import Tuning
from armillary.cloud.engines.qemu.process import holder
from armillary.cloud.engines.qemu.tiny import SAYS, boot_sector
from armillary.cloud.model import MachineState, Template
from armillary.cloud.ports import BootFailed

pytestmark = pytest.mark.vm

AGAIN = SAYS + b" again"
GO_ON = {"pause": lambda _seconds: True}


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.image.write_bytes(boot_sector(waits=True))
    return bench


def warm(bench: Bench, **changes: object):
    spec = bench.spec(**changes)
    card = replace(spec.ports[0], id=PortId("template"))
    template = Template(name="1", image=Sha512("ab" * 64), port=card, config_drive={"a/b": b"wait"})
    return replace(spec, template=template)


def woke(bench: Bench, spec) -> bool:
    return until(lambda: AGAIN in bench.machines.console(spec.id))


def boots_cold(bench: Bench, spec) -> bool:
    bench.machines.boot(spec)
    return bench.says(spec) and AGAIN not in bench.machines.console(spec.id)


@pytest.mark.parametrize("file", ["memory", "root.qcow2", "manifest.json", "spec.json"])
def test_a_checkpoint_whose_bytes_have_changed_is_removed_and_the_machine_boots(bench, file):
    spec = warm(bench)
    assert bench.machines.prepare(spec, **GO_ON)
    (kept,) = bench.machines.checkpoints()
    path = bench.layout.checkpoints / kept.key / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    bench.machines = bench.engine()  # one that has not seen it whole
    assert boots_cold(bench, spec)
    assert bench.machines.checkpoints() == []


def test_half_a_checkpoint_is_never_used_and_goes_at_the_next_start(bench):
    spec = warm(bench)
    assert bench.machines.prepare(spec, **GO_ON)
    (kept,) = bench.machines.checkpoints()
    whole = bench.layout.checkpoints / kept.key
    (whole / "manifest.json").unlink()
    shutil.copytree(whole, whole.with_name(kept.key + ".building"))
    bench.machines = bench.engine()
    assert not whole.with_name(kept.key + ".building").exists()
    assert boots_cold(bench, spec)


def test_a_template_that_a_kill_left_running_is_ended_by_the_next_start(bench):
    spec = warm(bench)
    files = bench.layout.template(key_of(spec, Tuning()))

    def killed(_seconds: float) -> bool:
        raise KeyboardInterrupt

    running: list[int | None] = []

    def look(_seconds: float) -> bool:
        running.append(holder(files.pidfile))
        shutil.copytree(files.folder, bench.directory / "copy", ignore=shutil.ignore_patterns("qemu.pid"))
        return killed(0)

    with pytest.raises(KeyboardInterrupt):
        bench.machines.prepare(spec, pause=look)
    assert running[0] is not None
    assert holder(files.pidfile) is None
    (bench.directory / "copy").rename(files.folder)
    bench.engine()
    assert list(bench.layout.checkpoints.iterdir()) == []


def test_a_machine_that_a_kill_left_half_woken_is_made_anew(bench):
    spec = warm(bench)
    assert bench.machines.prepare(spec, **GO_ON)
    bench.machines.boot(spec)
    assert woke(bench, spec)
    before = bench.pid(spec)
    bench.files(spec).waking.touch()  # as if we had been killed before it said that it is awake
    bench.machines = bench.engine()
    bench.machines.boot(spec)
    assert woke(bench, spec)
    assert bench.pid(spec) != before
    assert not bench.files(spec).waking.exists()


def test_a_guest_that_does_not_take_its_identity_is_booted_and_the_checkpoint_stays(bench):
    bench.image.write_bytes(boot_sector(waits=True, answer=b"failed no"))
    for _ in range(3):
        spec = warm(bench)
        assert bench.machines.prepare(spec, **GO_ON)
        assert boots_cold(bench, spec)
    assert len(bench.machines.checkpoints()) == 1


def test_a_checkpoint_from_which_nothing_wakes_twice_is_removed_and_left_alone(bench):
    bench.image.write_bytes(boot_sector(waits=True, answer=b"what"))
    bench.machines = bench.engine(keeping=Keeping(wake_seconds=1))
    assert bench.machines.prepare(warm(bench), **GO_ON)
    for _ in range(2):
        assert boots_cold(bench, warm(bench))
    assert bench.machines.checkpoints() == []
    assert not bench.machines.prepare(warm(bench), **GO_ON)


def test_checkpoints_that_are_switched_off_are_neither_made_nor_used(bench):
    spec = warm(bench)
    assert bench.machines.prepare(spec, **GO_ON)
    bench.machines = bench.engine(keeping=Keeping(most=0))
    assert not bench.machines.prepare(spec, **GO_ON)
    assert boots_cold(bench, spec)


def test_a_checkpoint_beyond_the_bytes_that_it_may_have_is_not_kept(bench):
    bench.machines = bench.engine(keeping=Keeping(octets=1000))
    with pytest.raises(BootFailed, match="all may have"):
        bench.machines.prepare(warm(bench), **GO_ON)
    assert list(bench.layout.checkpoints.iterdir()) == []


def test_no_template_is_begun_without_memory_for_it(bench):
    bench.machines = bench.engine(free_memory=lambda: 100)
    with pytest.raises(BootFailed, match="memory free"):
        bench.machines.prepare(warm(bench), **GO_ON)
    assert list(bench.layout.checkpoints.iterdir()) == []


def test_templates_boot_one_after_another(bench):
    turn = threading.Lock()
    bench.machines = bench.engine(keeping=Keeping(turn=turn))
    asked: list[float] = []

    def pause(seconds: float) -> bool:
        asked.append(seconds)
        if len(asked) == 3:
            turn.release()  # the other one is ready
        return True

    turn.acquire()
    assert bench.machines.prepare(warm(bench), pause=pause)
    assert len(asked) > 3
    assert not turn.locked()


def test_a_template_waits_for_idle_processors_as_long_as_somebody_wants_it(bench):
    bench.machines = bench.engine(keeping=Keeping(spare=1000.0))  # more than any computer has
    looks = iter([True, True, False])
    assert not bench.machines.prepare(warm(bench), pause=lambda _seconds: next(looks))
    assert list(bench.layout.checkpoints.iterdir()) == []


@pytest.mark.parametrize(("spare", "policy"), [(1e-9, os.SCHED_IDLE), (0.0, os.SCHED_OTHER)])
def test_a_template_takes_the_processor_time_that_others_leave_or_as_any_machine(bench, spare, policy):
    bench.machines = bench.engine(keeping=Keeping(spare=spare))
    found: set[int] = set()

    def pause(seconds: float) -> bool:
        time.sleep(seconds / 100)
        for folder in bench.layout.checkpoints.iterdir():
            process = holder(folder / "qemu.pid")
            found.update([] if process is None else [os.sched_getscheduler(process)])
        return True

    assert bench.machines.prepare(warm(bench), pause=pause)
    assert found == {policy}


def test_a_template_that_says_nothing_is_given_up(bench):
    bench.image.write_bytes(boot_sector())
    bench.machines = bench.engine(keeping=Keeping(boot_seconds=0.5))
    with pytest.raises(BootFailed, match="in time"):
        bench.machines.prepare(warm(bench), **GO_ON)
    assert bench.machines.states() == {}


def test_an_image_that_says_that_it_cannot_be_a_template_is_left_alone(bench):
    sector = boot_sector(waits=True)
    bench.image.write_bytes(sector.replace(b"waiting\n", b"failed?\n"))
    with pytest.raises(BootFailed, match="cannot be a template"):
        bench.machines.prepare(warm(bench), **GO_ON)
    assert not bench.machines.prepare(warm(bench), **GO_ON)


def test_another_accelerator_or_shape_is_another_checkpoint(bench):
    spec = warm(bench)
    keys = {
        key_of(spec, Tuning()),
        key_of(spec, Tuning(accelerator="kvm")),
        key_of(spec, Tuning(binary="qemu-img")),  # any program that has another version line
        key_of(replace(spec, vcpus=2), Tuning()),
        key_of(replace(spec, ports=(replace(spec.ports[0], mtu=1400),)), Tuning()),
    }
    assert len(keys) == 5
    assert key_of(replace(spec, template=None), Tuning()) is None


def test_machines_share_the_checkpoints_disk_and_each_writes_its_own(bench):
    assert bench.machines.prepare(warm(bench), **GO_ON)
    first, second = warm(bench), warm(bench)
    for spec in (first, second):
        bench.machines.boot(spec)
    assert bench.files(first).warm.samefile(bench.files(second).warm)
    assert not bench.files(first).root.samefile(bench.files(second).root)
    os.kill(bench.pid(first), signal.SIGKILL)
    assert until(lambda: bench.state(first) is MachineState.STOPPED)
    bench.machines.boot(first)
    assert bench.state(first) is MachineState.RUNNING
