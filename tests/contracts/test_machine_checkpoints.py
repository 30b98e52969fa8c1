"""What every engine promises of machines that begin from a checkpoint."""

from dataclasses import replace

import pytest
from machine_bench import Bench

from armillary.base.ids import Sha512
from armillary.base.units import MiB
from armillary.cloud.model import MachineState
from armillary.cloud.ports import BootFailed

RUNNING = MachineState.RUNNING


def test_a_machine_goes_on_from_the_checkpoint_of_its_template(bench: Bench) -> None:
    assert bench.prepares(bench.warm_spec())
    for _ in range(2):
        spec = bench.warm_spec()
        bench.machines.boot(spec)
        assert bench.state(spec) is RUNNING
        assert bench.woke(spec)


def test_nothing_of_a_template_is_seen_beside_its_checkpoint(bench: Bench) -> None:
    spec = bench.warm_spec()
    assert bench.prepares(spec)
    assert bench.machines.states() == {}
    (kept,) = bench.machines.checkpoints()
    assert kept.image == spec.template.image
    assert kept.octets > 0


def test_without_a_checkpoint_a_machine_boots(bench: Bench) -> None:
    spec = bench.warm_spec()
    bench.machines.boot(spec)
    assert bench.state(spec) is RUNNING


@pytest.mark.parametrize("what", ["shape", "template", "image"])
def test_a_machine_of_another_kind_boots(bench: Bench, what: str) -> None:
    spec = bench.warm_spec()
    assert bench.prepares(spec)
    other = {
        "shape": replace(spec, ram=MiB(192)),
        "template": replace(spec, template=replace(spec.template, name="2")),
        "image": replace(spec, template=replace(spec.template, image=Sha512("cd" * 64))),
    }[what]
    bench.machines.boot(other)
    assert bench.state(other) is RUNNING
    assert b"woke" not in bench.machines.console(other.id)
    assert b"again" not in bench.machines.console(other.id)


def test_preparing_again_changes_nothing(bench: Bench) -> None:
    assert bench.prepares(bench.warm_spec())
    before = [kept.key for kept in bench.machines.checkpoints()]
    assert bench.prepares(bench.warm_spec())
    assert [kept.key for kept in bench.machines.checkpoints()] == before


def test_a_machine_that_may_not_begin_so_has_no_checkpoint(bench: Bench) -> None:
    spec = bench.warm_spec()
    for other in (
        replace(spec, template=None),
        replace(spec, volumes=(bench.volume(),)),
        replace(spec, ports=(*spec.ports, bench.port())),
    ):
        assert not bench.prepares(other)
    assert bench.machines.checkpoints() == []


def test_preparing_ends_when_nobody_wants_it_any_more(bench: Bench) -> None:
    assert not bench.machines.prepare(bench.warm_spec(), pause=lambda _seconds: False)
    assert bench.machines.checkpoints() == []


def test_a_checkpoint_outlives_the_engine_that_made_it(bench: Bench) -> None:
    assert bench.prepares(bench.warm_spec())
    again, spec = bench.again(), bench.warm_spec()
    again.boot(spec)
    assert again.states() == {spec.id: RUNNING}
    assert bench.woke(spec)


def test_a_machine_lives_on_without_the_checkpoint_that_it_began_from(bench: Bench) -> None:
    assert bench.prepares(bench.warm_spec())
    spec = bench.warm_spec()
    bench.machines.boot(spec)
    (kept,) = bench.machines.checkpoints()
    bench.machines.forget_checkpoint(kept.key)
    bench.machines.forget_checkpoint(kept.key)
    assert bench.machines.checkpoints() == []
    bench.machines.reboot(spec.id, hard=True)
    bench.machines.stop(spec.id, hard=True)
    bench.machines.boot(spec)
    assert bench.state(spec) is RUNNING


def test_it_sleeps_wakes_is_copied_and_destroyed_as_any_other(bench: Bench, tmp_path) -> None:
    assert bench.prepares(bench.warm_spec())
    spec = bench.warm_spec()
    bench.machines.boot(spec)
    bench.machines.suspend(spec.id)
    bench.machines.resume(spec)
    target = tmp_path / "copy.qcow2"
    bench.machines.snapshot(spec.id, target)
    bench.machines.stop(spec.id, hard=True)
    bench.machines.keep_root(spec.id)
    bench.machines.boot(spec)
    bench.machines.settle_root(spec.id)
    bench.machines.stop(spec.id, hard=True)
    bench.machines.snapshot(spec.id, target)
    assert target.stat().st_size > 0
    bench.machines.destroy(spec.id)
    assert bench.machines.states() == {}


def test_the_least_used_go_when_there_are_too_many(bench: Bench) -> None:
    specs = [replace(bench.warm_spec(), ram=MiB(128 + 16 * number)) for number in range(5)]
    for spec in specs[:4]:
        assert bench.prepares(spec)
    bench.machines.boot(replace(specs[0], ports=(bench.port(),)))
    oldest = [kept.key for kept in bench.machines.checkpoints()]
    assert bench.prepares(specs[4])
    left = [kept.key for kept in bench.machines.checkpoints()]
    assert left[:3] == oldest[1:]
    assert len(left) == 4


def test_a_template_that_does_not_boot_leaves_nothing(bench: Bench) -> None:
    spec = replace(bench.warm_spec(), image_path=bench.image.with_name("gone"))
    if hasattr(bench.machines, "fail_next"):
        bench.machines.fail_next("prepare")
    with pytest.raises(BootFailed):
        bench.prepares(spec)
    assert bench.machines.checkpoints() == []
    bench.machines.boot(bench.warm_spec())
