"""Machines on real QEMU processes, with a boot sector for an operating system: what goes wrong, and what is left then."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from armillary.base.ids import NetworkId, PortId, ServerId, new_uuid
from armillary.base.units import GiB, MiB
from armillary.cloud.engines.qemu.fabric import FALLBACK_OFFSET, QemuFabric
from armillary.cloud.engines.qemu.layout import Layout
from armillary.cloud.engines.qemu.machines import QemuMachines
from armillary.cloud.engines.qemu.process import holder
from armillary.cloud.engines.qemu.tiny import SAYS, boot_sector
from armillary.cloud.model import Capacity, MachineSpec, MachineState, NetworkPlan, PortPlan, PortSpec, Rule
from armillary.cloud.ports import BootFailed

pytestmark = pytest.mark.vm

CAPACITY = Capacity(vcpus=2, ram=MiB(1024), disk=GiB(10))
SECONDS = 20.0


class Bench:
    def __init__(self, folder: Path) -> None:
        self.directory = folder / "qemu"
        self.layout = Layout(directory=self.directory)
        self.image = folder / "image.raw"
        self.image.write_bytes(boot_sector())
        self.machines = self.engine()
        self.fabric = QemuFabric(directory=self.directory)

    def engine(self, **more: object) -> QemuMachines:
        return QemuMachines(
            **{"directory": self.directory, "capacity": CAPACITY, "obey_seconds": 0.2, **more}
        )

    def spec(self, **changes: object) -> MachineSpec:
        port = PortSpec(
            id=PortId(new_uuid()), network_id=NetworkId("n"), mac="fa:16:3e:00:00:01",
            fixed_ip="10.0.0.5", cidr="10.0.0.0/24", gateway_ip="10.0.0.1",
        )  # fmt: skip
        made = MachineSpec(
            id=ServerId(new_uuid()), name="vm", vcpus=1, ram=MiB(128), root_disk=GiB(1), ephemeral_disk=GiB(0),
            image_path=self.image, image_format="raw", ports=(port,), config_drive={"a/b": b"c"},
        )  # fmt: skip
        return replace(made, **changes)

    def boots(self, **changes: object) -> MachineSpec:
        spec = self.spec(**changes)
        self.machines.boot(spec)
        return spec

    def pid(self, spec: MachineSpec) -> int | None:
        return holder(self.layout.machine(spec.id).pidfile)

    def says(self, spec: MachineSpec, times: int = 1) -> bool:
        return until(lambda: self.machines.console(spec.id).count(SAYS) >= times)

    @property
    def left(self) -> list[Path]:
        return [path for part in ("machines", "run") for path in (self.directory / part).rglob("*")]


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SECONDS
    while not holds() and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    return holds()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for server_id in list(made.machines.states()):
        made.machines.destroy(server_id)
    made.fabric.close()


def plan(spec: MachineSpec, *ports: int, floating_ip: str = "127.16.77.5") -> NetworkPlan:
    rules = tuple(
        Rule(direction="ingress", protocol="tcp", port_min=number, port_max=number, remote_cidr=None)
        for number in ports
    )
    return NetworkPlan(
        ports=(PortPlan(server_id=spec.id, port=spec.ports[0], rules=rules, floating_ip=floating_ip),)
    )


def answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=2).close()
    except OSError:
        return False
    return True


def test_what_the_machine_says_is_kept_over_all_its_boots(bench):
    spec = bench.boots()
    assert bench.says(spec)
    bench.machines.stop(spec.id, hard=True)
    bench.machines.boot(spec)
    assert bench.says(spec, times=2)
    assert len(bench.machines.console(spec.id, last_bytes=10)) == 10


def test_a_talkative_machine_does_not_fill_the_disk(bench):
    spec = bench.boots()
    assert bench.says(spec)
    log = bench.layout.machine(spec.id).console
    with log.open("ab") as file:
        file.write(b"talk " * 2**20 + b"the end")
    bench.machines.states()
    assert log.stat().st_blocks * 512 < 2 * 2**20
    assert bench.machines.console(spec.id).endswith(b"talk the end")
    assert len(bench.machines.console(spec.id, last_bytes=2**22)) <= 2**20


def test_a_machine_that_does_not_obey_its_power_button_is_ended(bench):
    spec = bench.boots()
    bench.machines.stop(spec.id)
    assert bench.machines.states() == {spec.id: MachineState.STOPPED}
    assert bench.pid(spec) is None


def test_a_machine_that_does_not_restart_by_itself_is_reset(bench):
    spec = bench.boots()
    before = bench.pid(spec)
    assert bench.says(spec)
    bench.machines.reboot(spec.id)
    assert bench.says(spec, times=2)
    assert bench.pid(spec) == before, "the process, and with it the network, lives on"


def test_a_machine_whose_process_was_killed_is_stopped_and_boots_again(bench):
    spec = bench.boots()
    pid = bench.pid(spec)
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: bench.machines.states() == {spec.id: MachineState.STOPPED})
    bench.machines.boot(spec)
    assert bench.machines.states() == {spec.id: MachineState.RUNNING}


def test_a_pid_that_belongs_to_somebody_else_now_is_left_alone(bench):
    spec = bench.boots()
    bench.machines.stop(spec.id, hard=True)
    bench.layout.machine(spec.id).pidfile.write_text(f"{os.getpid()}\n")
    assert bench.machines.states() == {spec.id: MachineState.STOPPED}
    bench.machines.stop(spec.id, hard=True)
    bench.machines.destroy(spec.id)


def test_qemu_that_refuses_to_start_leaves_nothing(bench):
    spec = bench.spec()
    broken = replace(spec, ports=(replace(spec.ports[0], mac="no address"),))
    with pytest.raises(BootFailed, match="could not be made"):
        bench.machines.boot(broken)
    assert bench.left == []


def test_a_known_machine_that_fails_to_start_keeps_its_disks(bench):
    spec = bench.boots()
    bench.machines.stop(spec.id, hard=True)
    with pytest.raises(BootFailed):
        bench.machines.boot(replace(spec, ports=(replace(spec.ports[0], mac="no address"),)))
    assert bench.machines.states() == {spec.id: MachineState.STOPPED}
    bench.machines.boot(spec)
    assert bench.machines.states() == {spec.id: MachineState.RUNNING}


def test_an_image_that_is_too_large_for_the_flavor_leaves_nothing(bench):
    with bench.image.open("r+b") as file:
        file.truncate(2 * 2**30)
    with pytest.raises(BootFailed, match=r"2 GiB.*1 GiB"):
        bench.boots()
    assert bench.left == []


def test_a_machine_that_the_memory_does_not_hold_is_refused_with_the_figures(bench):
    bench.machines = bench.engine(free_memory=lambda: 100)
    with pytest.raises(BootFailed, match="100 MiB") as failure:
        bench.boots()
    assert failure.value.code == "no_memory"
    assert bench.left == []


def test_a_missing_qemu_is_named(bench):
    from armillary.cloud.engines.qemu.command import Tuning

    bench.machines = bench.engine(tuning=Tuning(binary="no-such-qemu"))
    with pytest.raises(BootFailed, match="no-such-qemu"):
        bench.boots()
    assert bench.left == []


def test_what_a_killed_process_left_half_made_is_swept_away(bench):
    half = bench.directory / "machines" / f"{new_uuid()}.building"
    half.mkdir()
    (half / "root.qcow2").write_bytes(b"")
    assert bench.engine().states() == {}
    assert bench.left == []


def test_the_root_disk_follows_a_larger_flavor(bench):
    spec = bench.boots()
    bench.machines.stop(spec.id, hard=True)
    bench.machines.boot(replace(spec, root_disk=GiB(2)))
    header = bench.layout.machine(spec.id).root.read_bytes()[24:32]
    assert int.from_bytes(header, "big") == 2 * 2**30


def test_destroying_a_running_machine_leaves_nothing(bench):
    spec = bench.boots(ephemeral_disk=GiB(5))
    bench.machines.destroy(spec.id)
    assert bench.left == []


def test_machines_boot_side_by_side(bench):
    specs = [bench.spec() for _ in range(2)]
    threads = [threading.Thread(target=bench.machines.boot, args=(spec,)) for spec in specs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(bench.machines.states().values()) == {MachineState.RUNNING}


def test_a_snapshot_boots_as_another_machine(bench, tmp_path):
    spec = bench.boots()
    bench.machines.snapshot(spec.id, tmp_path / "snapshot")
    other = bench.boots(image_path=tmp_path / "snapshot", image_format="qcow2")
    assert bench.says(other)


def test_a_snapshot_that_finds_no_room_leaves_no_file_and_a_running_machine(bench, tmp_path):
    spec = bench.boots()
    target = tmp_path / "no-such-folder" / "snapshot"
    with pytest.raises(BootFailed):
        bench.machines.snapshot(spec.id, target)
    assert not target.exists()
    assert bench.machines.states() == {spec.id: MachineState.RUNNING}
    bench.machines.snapshot(spec.id, tmp_path / "snapshot")


def test_a_floating_ip_answers_for_what_the_rules_open_and_no_longer(bench):
    spec = bench.boots()
    bench.fabric.apply(plan(spec, 8022, 8080))
    assert dict(bench.fabric.addresses(spec.id)) == {8022: ("127.16.77.5", 8022), 8080: ("127.16.77.5", 8080)}
    assert answers(("127.16.77.5", 8022))
    bench.fabric.apply(plan(spec, 8080))
    assert not answers(("127.16.77.5", 8022))
    assert answers(("127.16.77.5", 8080))


def test_a_floating_ip_moves_and_goes(bench):
    spec = bench.boots()
    bench.fabric.apply(plan(spec, 8022))
    bench.fabric.apply(plan(spec, 8022, floating_ip="127.16.77.6"))
    assert dict(bench.fabric.addresses(spec.id)) == {8022: ("127.16.77.6", 8022)}
    assert not answers(("127.16.77.5", 8022))
    bench.fabric.apply(NetworkPlan())
    assert not answers(("127.16.77.6", 8022))


def test_a_port_that_another_program_holds_is_answered_ten_thousand_higher(bench):
    with socket.create_server(("127.16.77.5", 8022)):
        spec = bench.boots()
        bench.fabric.apply(plan(spec, 8022))
        found = bench.fabric.addresses(spec.id)
    assert found == {8022: ("127.16.77.5", 8022 + FALLBACK_OFFSET)}
    assert answers(found[8022])


def test_forwards_come_back_when_a_machine_starts_again(bench):
    spec = bench.boots()
    bench.fabric.apply(plan(spec, 8022))
    bench.machines.stop(spec.id, hard=True)
    bench.fabric.apply(plan(spec, 8022))
    assert bench.fabric.addresses(spec.id) == {}
    bench.machines.boot(spec)
    bench.fabric.apply(plan(spec, 8022))
    assert answers(bench.fabric.addresses(spec.id)[8022])


def test_a_new_fabric_takes_the_forwards_over(bench):
    spec = bench.boots()
    bench.fabric.apply(plan(spec, 8022))
    again = QemuFabric(directory=bench.directory)
    again.apply(plan(spec, 8022, 8080))
    assert set(again.addresses(spec.id)) == {8022, 8080}
