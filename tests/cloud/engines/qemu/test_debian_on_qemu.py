"""A stock Debian on the QEMU engine: what a scientist's machine gets, and what it cannot reach.

Two machines are booted once for all the tests here; each test looks at one promise.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from debian_pair import GATEWAY, OUT, SSH, Pair

from armillary.base.ids import NetworkId, PortId, new_uuid
from armillary.base.units import GiB, MiB
from armillary.cloud.core.addressing import eui64
from armillary.cloud.engines.qemu.machines import QemuMachines
from armillary.cloud.engines.qemu.switch import own_addresses
from armillary.cloud.model import MachineState, PortAddress, PortPlan, PortSpec, Rule
from golden import is_alive, process_of_machine

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1200)]

BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
MEMORY = "awk '/MemTotal/ {print $2}' /proc/meminfo"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("qemu"))
    try:
        made.start()
        yield made
    finally:
        made.close()


def test_the_machine_has_its_name_its_address_and_its_disks(pair):
    said = pair.a.run("hostname; ip -4 -o addr show; lsblk -bno SIZE,MOUNTPOINT")
    assert said.startswith("vm1")
    assert f"{pair.a.ip}/24" in said
    size = int(pair.a.run("df --output=size -B1 / | tail -1"))
    assert size > 5.5 * 2**30, "the root file system fills the flavor's disk"


def test_the_ephemeral_disk_is_mounted_on_mnt(pair):
    assert "ephemeral0" in pair.a.run("lsblk -no LABEL $(findmnt -no SOURCE /mnt)")


def test_the_world_has_names(pair):
    mirror = "sed -n 's,^URIs: *https\\?://\\([^/]*\\).*,\\1,p' /etc/apt/sources.list.d/*.sources | head -n 1"
    assert pair.a.run(f'host=$({mirror}); test -n "$host" && getent hosts "$host"')


def test_neighbours_reach_what_the_rules_open_and_nothing_else(pair):
    serve = "nohup python3 -m http.server 8000 >/dev/null 2>&1 & sleep 2"
    pair.b.run(serve)
    pair.connect(OUT, SSH)
    assert not pair.a.opens(pair.b.ip, 8000)
    assert "0 received" in pair.a.run(f"ping -c 1 -W 3 {pair.b.ip}")
    group = frozenset({pair.a.ip, pair.b.ip})
    members = Rule(
        direction="ingress", protocol=None, port_min=None, port_max=None, remote_cidr=None, remote_ips=group
    )
    pair.connect(OUT, SSH, members)
    assert pair.a.opens(pair.b.ip, 8000)
    assert "1 received" in pair.a.run(f"ping -c 1 -W 10 {pair.b.ip}")


def test_neighbours_of_an_ipv6_subnet_make_themselves_its_addresses_and_reach_what_the_rules_open(pair):
    addresses = [eui64("fd00:78::/64", each.spec.ports[0].mac) for each in (pair.a, pair.b)]
    out = replace(OUT, ethertype="IPv6")
    pings = replace(out, direction="ingress", protocol="ipv6-icmp")

    def connect(*rules):
        pair.connect(OUT, SSH, out, *rules)
        plans = tuple(
            replace(port, addresses=(PortAddress(ip=address, cidr="fd00:78::/64", mode="slaac"),))
            for port, address in zip(pair.plan.ports, addresses, strict=True)
        )
        pair.plan = replace(pair.plan, ports=plans)
        pair.fabric.apply(pair.plan)

    connect(pings)
    for each, address in zip((pair.a, pair.b), addresses, strict=True):
        wait = f"for n in $(seq 60); do ip -6 -o addr show | grep -q {address} && break; sleep 1; done"
        assert address in each.run(f"{wait}; ip -6 -o addr show")
    assert "1 received" in pair.a.run(f"ping -6 -c 1 -W 20 {addresses[1]}")
    connect()
    assert "0 received" in pair.a.run(f"ping -6 -c 1 -W 3 {addresses[1]}")


def test_of_this_computer_only_the_platform_is_reached(pair):
    assert pair.a.opens(GATEWAY, pair.allowed_port)
    assert not pair.a.opens(GATEWAY, pair.hidden_port)
    assert not pair.a.opens("10.0.0.2", pair.allowed_port)
    outer = [IPv4Address(address) for address in own_addresses()]
    assert not any(pair.a.opens(str(each), pair.hidden_port) for each in outer if not each.is_loopback)


def test_a_volume_comes_and_goes_while_machines_run_and_keeps_what_was_written(pair):
    volume = pair.volume(GiB(1))
    disk = f"/dev/disk/by-id/virtio-{volume.id[:20]}"
    appears = f"timeout 90 sh -c 'until test -b {disk}; do sleep 0.2; done'; sudo blockdev --getsize64 {disk}"
    pair.machines.plug_volume(pair.a.spec.id, volume)
    assert pair.a.run(appears) == str(2**30)
    pair.a.run(f"sudo mkfs.ext4 -q {disk} && sudo mount {disk} /srv && echo kept | sudo tee /srv/note")
    pair.machines.grow_volume(pair.a.spec.id, volume.id, GiB(2))
    assert pair.a.run(f"sudo blockdev --getsize64 {disk}") == str(2 * 2**30)
    pair.a.run("sudo umount /srv")
    pair.machines.unplug_volume(pair.a.spec.id, volume.id)
    assert pair.a.run(f"test -e {disk} || echo gone") == "gone"
    pair.machines.plug_volume(pair.b.spec.id, volume)
    assert pair.b.run(appears) == str(2 * 2**30)
    assert pair.b.run(f"sudo mount {disk} /srv && cat /srv/note && sudo umount /srv") == "kept"
    pair.machines.unplug_volume(pair.b.spec.id, volume.id)


def test_a_second_card_comes_with_its_address_and_goes(pair):
    port = PortSpec(
        id=PortId(new_uuid()), network_id=NetworkId("second"), mac="fa:16:3e:00:79:01", fixed_ip="10.9.0.17",
        cidr="10.9.0.0/24", gateway_ip="10.9.0.1",
    )  # fmt: skip
    pair.machines.plug_port(pair.a.spec.id, port)
    pair.connect(OUT, SSH, more=(PortPlan(server_id=pair.a.spec.id, port=port, rules=(OUT,)),))
    unit = f"[Match]\\nMACAddress={port.mac}\\n[Network]\\nDHCP=yes\\n[DHCPv4]\\nRouteMetric=4096\\n"
    pair.a.run(
        f"sudo mkdir -p /run/systemd/network; printf '{unit}' | sudo tee /run/systemd/network/05-more.network;"
        "sudo networkctl reload"
    )
    shown = pair.a.run(
        "timeout 90 sh -c 'until ip -4 -o addr | grep -q 10.9.0.17; do sleep 0.2; done';"
        "ip -br link; ip -4 -o addr"
    )
    assert port.mac in shown
    assert "10.9.0.17/24" in shown
    pair.machines.unplug_port(pair.a.spec.id, port.id)
    pair.connect(OUT, SSH)
    assert port.mac not in pair.a.run("ip -br link")


def test_a_paused_machine_is_silent_and_goes_on_where_it_was(pair):
    boot = pair.a.run(BOOT_ID)
    pair.machines.pause(pair.a.spec.id)
    assert not pair.a.greets(within=3)
    pair.machines.unpause(pair.a.spec.id)
    assert pair.a.run(BOOT_ID) == boot


def test_a_suspended_machine_has_no_process_and_goes_on_with_its_clock_right(pair):
    volume, server_id = pair.volume(GiB(1)), pair.a.spec.id
    pair.machines.plug_volume(server_id, volume)
    boot = pair.a.run(f"echo remembered > /dev/shm/note; {BOOT_ID}")
    process = process_of_machine(server_id)
    pair.machines.suspend(server_id)
    assert not is_alive(process)
    assert QemuMachines(directory=pair.folder, capacity=pair.machines.capacity()).states() == {
        server_id: MachineState.SUSPENDED,
        pair.b.spec.id: MachineState.RUNNING,
    }
    pair.b.run("sleep 8")  # so that a clock that stood still would show
    pair.machines.resume(pair.a.spec)
    assert pair.a.run(f"cat /dev/shm/note; {BOOT_ID}").split() == ["remembered", boot]
    assert abs(float(pair.a.run("date +%s.%N")) - time.time()) < 3
    assert pair.a.run(f"sudo blockdev --getsize64 /dev/disk/by-id/virtio-{volume.id[:20]}") == str(2**30)
    pair.machines.unplug_volume(server_id, volume.id)


def test_a_snapshot_is_taken_in_motion_and_boots_with_what_was_written(pair, tmp_path):
    pair.a.run("echo precious | sudo tee /root/precious")
    target = tmp_path / "snapshot.qcow2"
    pair.machines.snapshot(pair.a.spec.id, target)
    assert pair.a.run("echo alive") == "alive"
    pair.machines.destroy(pair.b.spec.id)
    pair.b = pair.machine(2, image=target)
    pair.machines.boot(pair.b.spec)
    pair.connect(OUT, SSH)
    assert pair.b.run("sudo cat /root/precious; hostname").split() == ["precious", "vm2"]


def test_the_power_button_shuts_the_machine_down_and_it_starts_again_larger(pair):
    spec = pair.a.spec
    memory = int(pair.a.run(MEMORY))
    pair.machines.stop(spec.id)
    assert pair.machines.states()[spec.id] is MachineState.STOPPED
    pair.machines.keep_root(spec.id)
    pair.machines.boot(replace(spec, vcpus=2, ram=MiB(640), root_disk=GiB(7)))
    pair.connect(OUT, SSH)
    assert pair.a.run("nproc") == "2"
    assert int(pair.a.run(MEMORY)) - memory > 100 * 1024
    assert pair.a.run("lsblk -bdno SIZE /dev/vda") == str(7 * 2**30)
    pair.machines.settle_root(spec.id)
    assert pair.a.run(
        "sudo cat /root/precious; sync; sudo dd if=/dev/vda of=/dev/null bs=1M count=64"
    ).startswith("precious")


def test_closing_the_rule_closes_the_floating_ip(pair):
    pair.connect(OUT)
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(asyncio.open_connection(pair.a.floating_ip, 22))
