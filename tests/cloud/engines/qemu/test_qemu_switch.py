"""The switch as a process of its own, with real sockets and no machines: we stand where QEMU would."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from frame_builder import BROADCAST, SLIRP, arp
from ipv6_frames import icmp6, tcp6
from switch_bench import SSH, Bench, port_plan

from armillary.base.ids import new_uuid
from armillary.cloud.engines.qemu.fabric import QemuFabric
from armillary.cloud.engines.qemu.switch import own_addresses
from armillary.cloud.model import NetworkPlan, PortAddress, Rule


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / new_uuid())
    yield made
    made.close()


A, B = port_plan(1), port_plan(2, SSH)


def test_frames_reach_the_neighbour_and_the_way_out(bench):
    bench.fabric.apply(NetworkPlan(ports=(A, B)))
    a, b = bench.guest(A), bench.guest(B)
    a.sends(a.calls(b))
    assert b.card.recv(2000) == a.calls(b)
    asks = arp(a.mac, BROADCAST, sender_ip=a.ip, target_ip="10.0.0.1")
    a.sends(asks)
    assert a.out.recv(2000) == asks


def test_ipv6_passes_between_guests_that_are_told_their_prefix(bench):
    of_ipv6 = [
        PortAddress(ip=f"fd00::{number}", cidr="fd00::/64", mode="dhcpv6-stateful") for number in (1, 2)
    ]
    lets_in = Rule(
        direction="ingress", ethertype="IPv6", protocol="tcp", port_min=22, port_max=22, remote_cidr=None
    )
    out = replace(lets_in, direction="egress", protocol=None, port_min=None, port_max=None)
    a_plan = replace(A, addresses=(of_ipv6[0],), rules=(*A.rules, out))
    b_plan = replace(B, addresses=(of_ipv6[1],), rules=(*B.rules, lets_in))
    bench.fabric.apply(NetworkPlan(ports=(a_plan, b_plan)))
    a, b = bench.guest(a_plan), bench.guest(b_plan)

    def hears() -> bool:
        """Asks again until there is an answer, as guests do."""
        a.sends(icmp6((a.mac, "33:33:00:00:00:02"), "fe80::f816:3eff:fe00:1", "ff02::2", 133))
        a.card.settimeout(0.1)
        with suppress(TimeoutError):
            return a.card.recv(2000)[54] == 134
        return False

    assert bench.waits_until(hears)
    calls = tcp6((a.mac, b.mac), "fd00::1", "fd00::2", 40000, 22)
    a.sends(calls)
    assert b.card.recv(2000) == calls


def test_answers_of_the_way_out_reach_the_card(bench):
    bench.fabric.apply(NetworkPlan(ports=(A,)))
    a = bench.guest(A)
    answer = arp(SLIRP, a.mac, sender_ip="10.0.0.1", target_ip=a.ip, reply=True)
    a.out.sendto(answer, str(a.ends.slirp_switch))
    assert a.card.recv(2000) == answer


def test_a_plan_takes_effect_before_apply_returns(bench):
    bench.fabric.apply(NetworkPlan(ports=(A, B)))
    a, b = bench.guest(A), bench.guest(B)
    closed = port_plan(2)
    bench.fabric.apply(NetworkPlan(ports=(A, closed)))
    a.sends(a.calls(b))
    bench.fabric.apply(NetworkPlan(ports=(A, B)))
    a.sends(a.calls(b))
    assert b.card.recv(2000) == a.calls(b)
    b.card.setblocking(False)
    with pytest.raises(BlockingIOError):
        b.card.recv(2000)


def test_a_qemu_that_is_started_anew_is_served_again(bench):
    bench.fabric.apply(NetworkPlan(ports=(A, B)))
    a, b = bench.guest(A), bench.guest(B)
    a.sends(a.calls(b))
    b.card.recv(2000)
    b.close()
    a.sends(a.calls(b))
    again = bench.guest(B)
    again.card.settimeout(0.3)

    def arrives() -> bool:
        a.sends(a.calls(again))
        try:
            return bool(again.card.recv(2000))
        except TimeoutError:
            return False

    assert bench.waits_until(arrives)


def test_a_slow_receiver_loses_nothing_of_a_burst(bench):
    bench.fabric.apply(NetworkPlan(ports=(A, B)))
    a, b = bench.guest(A), bench.guest(B)
    for _ in range(200):  # far more than the receiver's queue in the kernel
        a.sends(a.calls(b))
    assert [len(b.card.recv(2000)) for _ in range(200)] == [len(a.calls(b))] * 200


def test_the_switch_outlives_the_fabric_and_is_found_again(bench):
    bench.fabric.apply(NetworkPlan(ports=(A, B)))
    before = bench.pid()
    again = QemuFabric(directory=bench.layout.directory)
    again.apply(NetworkPlan(ports=(A, B)))
    assert bench.pid() == before is not None


def test_a_switch_that_died_is_started_again(bench):
    bench.fabric.apply(NetworkPlan(ports=(A, B)))
    killed = bench.pid()
    os.kill(killed, signal.SIGKILL)
    assert bench.waits_until(lambda: bench.pid() is None)
    bench.fabric.apply(NetworkPlan(ports=(A, B)))
    assert bench.pid() not in (None, killed)
    a, b = bench.guest(A), bench.guest(B)
    a.sends(a.calls(b))
    assert b.card.recv(2000) == a.calls(b)


def test_an_empty_plan_ends_the_switch(bench):
    bench.fabric.apply(NetworkPlan(ports=(A,)))
    bench.fabric.apply(NetworkPlan())
    assert bench.pid() is None


def test_torn_frames_do_no_harm(bench):
    bench.fabric.apply(NetworkPlan(ports=(A, B)))
    a, b = bench.guest(A), bench.guest(B)
    whole = a.calls(b)
    for length in range(1, len(whole)):
        a.sends(whole[:length])
    a.sends(whole)
    while b.card.recv(2000) != whole:
        pass


def test_the_switch_counts_what_it_carries(bench):
    bench.fabric.apply(NetworkPlan(ports=(A, B)))
    a, b = bench.guest(A), bench.guest(B)
    a.sends(a.calls(b, port=80))
    a.sends(a.calls(b))
    b.card.recv(2000)
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(bench.layout.switch_control))
        line.sendall(b"stats\n")
        stats = json.loads(line.makefile().readline())
    assert (stats["carried"], stats["refused"], stats["lost"]) == (1, 1, 0)


def test_this_computers_own_addresses_are_read_from_the_kernels_table(tmp_path):
    table = tmp_path / "fib_trie"
    table.write_text(
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.0\n        /24 link UNICAST\n"
        "     |-- 192.0.2.7\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n"
    )
    assert own_addresses(table) == {bytes([192, 0, 2, 7])}
