"""Machines on real QEMU processes, with a boot sector for an operating system: what goes wrong, and what is left then."""

import os
import signal
import socket
import threading
from dataclasses import replace

import pytest
from qemu_bench import FLOATING_IP, OTHER_IP, answers, plan, until

from armillary.base.ids import new_uuid
from armillary.base.units import GiB
from armillary.cloud.engines.qemu.fabric import FALLBACK_OFFSET, QemuFabric
from armillary.cloud.engines.qemu.tiny import SAYS
from armillary.cloud.model import MachineState, NetworkPlan, PortPlan
from armillary.cloud.ports import BootFailed

pytestmark = pytest.mark.vm


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


def test_a_root_disk_that_is_gone_is_missed_and_not_made_anew(bench):
    spec = bench.boots()
    bench.machines.stop(spec.id, hard=True)
    bench.files(spec).root.unlink()
    with pytest.raises(BootFailed, match="gone") as failure:
        bench.machines.boot(spec)
    assert failure.value.code == "disk_missing"


def test_the_serial_port_answers_on_its_socket_and_in_the_log(bench):
    spec = bench.boots()
    assert bench.says(spec)
    with socket.socket(socket.AF_UNIX) as serial:
        serial.settimeout(20)
        serial.connect(str(bench.machines.consoles(spec.id).serial))
        bench.machines.reboot(spec.id, hard=True)
        heard = b""
        while SAYS not in heard:
            heard += serial.recv(4096)
    assert bench.says(spec, times=2)


def test_the_screen_is_shown_as_rfb(bench):
    spec = bench.boots()
    with socket.socket(socket.AF_UNIX) as screen:
        screen.settimeout(20)
        screen.connect(str(bench.machines.consoles(spec.id).display))
        assert screen.recv(12).startswith(b"RFB 003.")


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
    assert dict(bench.fabric.addresses(spec.id)) == {8022: (FLOATING_IP, 8022), 8080: (FLOATING_IP, 8080)}
    assert answers((FLOATING_IP, 8022))
    bench.fabric.apply(plan(spec, 8080))
    assert not answers((FLOATING_IP, 8022))
    assert answers((FLOATING_IP, 8080))


@pytest.mark.parametrize(
    "odd",
    [
        {"gateway_ip": ""},
        {"gateway_ip": "10.9.0.1"},
        {"gateway_ip": "10.0.0.2", "fixed_ip": "10.0.0.1", "cidr": "10.0.0.0/30"},
        {"fixed_ip": "", "cidr": "169.254.0.0/24", "gateway_ip": "169.254.0.1"},
        {"fixed_ip": "10.0.0.3"},
        {"gateway_ip": "10.0.0.3", "fixed_ip": "10.0.0.2"},
    ],
    ids=["no gateway", "a gateway elsewhere", "a tiny subnet", "IPv6 alone", "the third", "a third gateway"],
)
def test_a_machine_starts_on_every_network_that_there_can_be(bench, odd):
    spec = bench.spec()
    port = replace(spec.ports[0], **odd)
    bench.machines.boot(replace(spec, ports=(port,)))
    bench.fabric.apply(NetworkPlan(ports=(PortPlan(server_id=spec.id, port=port, rules=()),)))
    assert bench.machines.states() == {spec.id: MachineState.RUNNING}


def is_taken(address: tuple[str, int]) -> bool:
    """Whether somebody listens for datagrams there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        try:
            ours.bind(address)
        except OSError:
            return True
        return False


def test_a_floating_ip_takes_datagrams_where_a_rule_names_them(bench):
    spec = bench.boots()
    open_plan = plan(spec, 8022)
    udp = replace(open_plan.ports[0].rules[0], protocol="udp", port_min=8053, port_max=8053)
    bench.fabric.apply(NetworkPlan(ports=(replace(open_plan.ports[0], rules=(udp,)),)))
    assert is_taken((FLOATING_IP, 8053))
    assert bench.fabric.addresses(spec.id) == {}, "there are TCP ports alone"
    bench.fabric.apply(open_plan)
    assert not is_taken((FLOATING_IP, 8053))


def test_a_floating_ip_moves_and_goes(bench):
    spec = bench.boots()
    bench.fabric.apply(plan(spec, 8022))
    bench.fabric.apply(plan(spec, 8022, floating_ip=OTHER_IP))
    assert dict(bench.fabric.addresses(spec.id)) == {8022: (OTHER_IP, 8022)}
    assert not answers((FLOATING_IP, 8022))
    bench.fabric.apply(NetworkPlan())
    assert not answers((OTHER_IP, 8022))


def test_a_port_that_another_program_holds_is_answered_ten_thousand_higher(bench):
    with socket.create_server((FLOATING_IP, 8022)):
        spec = bench.boots()
        bench.fabric.apply(plan(spec, 8022))
        found = bench.fabric.addresses(spec.id)
    assert found == {8022: (FLOATING_IP, 8022 + FALLBACK_OFFSET)}
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
