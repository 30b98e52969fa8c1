"""What every engine's machines promise, whatever runs them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from armillary.base.ids import NetworkId, PortId, ServerId, new_uuid
from armillary.base.units import GiB, MiB
from armillary.cloud.engines.fake import FakeMachines
from armillary.cloud.engines.qemu.machines import QemuMachines
from armillary.cloud.engines.qemu.tiny import boot_sector
from armillary.cloud.model import Capacity, MachineSpec, MachineState, PortSpec
from armillary.cloud.ports import BootFailed, Machines


@dataclass
class Bench:
    """An engine with an image that it can boot, and a way to make a second engine over the same directory."""

    machines: Machines
    image: Path
    image_format: str
    again: Callable[[], Machines]

    def spec(self, name: str = "vm") -> MachineSpec:
        number = len(self.machines.states()) + 10
        return MachineSpec(
            id=ServerId(new_uuid()),
            name=name,
            vcpus=1,
            ram=MiB(256),
            root_disk=GiB(1),
            ephemeral_disk=GiB(0),
            image_path=self.image,
            image_format=self.image_format,
            ports=(
                PortSpec(
                    id=PortId(new_uuid()),
                    network_id=NetworkId("6f0a7f3c-0000-4000-8000-000000000001"),
                    mac=f"fa:16:3e:00:00:{number:02x}",
                    fixed_ip=f"10.0.0.{number}",
                    cidr="10.0.0.0/24",
                    gateway_ip="10.0.0.1",
                ),
            ),
            config_drive={"openstack/latest/meta_data.json": b'{"uuid": "1", "name": "vm"}'},
        )


def fake_bench(tmp_path: Path) -> Bench:
    image = tmp_path / "image.raw"
    image.write_bytes(b"\0" * 1024)
    directory = tmp_path / "machines"
    return Bench(
        FakeMachines(directory=directory), image, "raw", again=lambda: FakeMachines(directory=directory)
    )


def qemu_bench(tmp_path: Path) -> Bench:
    image = tmp_path / "image.raw"
    image.write_bytes(boot_sector())

    def engine() -> Machines:
        capacity = Capacity(vcpus=2, ram=MiB(1024), disk=GiB(10))
        return QemuMachines(directory=tmp_path / "qemu", capacity=capacity, obey_seconds=0.2)

    return Bench(engine(), image, "raw", again=engine)


ADAPTERS = [pytest.param(fake_bench, id="fake"), pytest.param(qemu_bench, id="qemu", marks=pytest.mark.vm)]


@pytest.fixture(params=ADAPTERS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = request.param(tmp_path)
    yield made
    for server_id in list(made.machines.states()):
        made.machines.destroy(server_id)


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


def test_the_capacity_is_positive(bench: Bench) -> None:
    capacity = bench.machines.capacity()
    assert min(capacity.vcpus, capacity.ram, capacity.disk) > 0
