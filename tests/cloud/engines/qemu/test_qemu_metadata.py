"""Guests ask the switch's process for metadata: frames go in, and what the cloud is asked comes out signed."""

import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from frame_builder import BROADCAST, SLIRP, arp, ip, mac
from switch_bench import OUT, Bench, Guest, port_plan
from tcp_peer import Peer

from armillary.base.ids import new_uuid
from armillary.cloud.core.signature import sign
from armillary.cloud.engines.qemu.frames import ICMPV6, read_arp, read_ipv4, read_ipv6
from armillary.cloud.engines.qemu.packets import Ends, checksum, read_segment, write_segment
from armillary.cloud.model import MetadataSite, NetworkPlan, Rule

METADATA, METADATA_V6 = "169.254.169.254", "fe80::a9fe:a9fe"
OUT_V6 = replace(OUT, ethertype="IPv6")
A, B = (replace(port_plan(number, OUT_V6), project_id=f"project-{number}") for number in (1, 2))


class Service(ThreadingHTTPServer):
    """Stands for the cloud: keeps what it is asked, answers with who asks."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked: list[dict[str, str]] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def site(self) -> MetadataSite:
        return MetadataSite(host="127.0.0.1", port=self.server_address[1], path="/metadata", secret="s3cret")


class _Answer(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        told = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append(told | {"path": self.path})
        body = f"{told['x-instance-id']} ".encode() * 5000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(Path(tmp_path_factory.mktemp("switch")) / new_uuid())
    yield made
    made.close()


@pytest.fixture(scope="module")
def guests(bench: Bench, service: Service) -> tuple[Guest, Guest]:
    """Two machines' cards, wired once."""
    bench.fabric.apply(NetworkPlan(ports=(A, B), metadata=service.site))
    return bench.guest(A), bench.guest(B)


@pytest.fixture
def a(bench: Bench, service: Service, guests: tuple[Guest, Guest]) -> Guest:
    """The first of them, under the plan that all tests begin with."""
    bench.fabric.apply(NetworkPlan(ports=(A, B), metadata=service.site))
    return guests[0]


@pytest.fixture
def b(guests: tuple[Guest, Guest], a: Guest) -> Guest:
    return guests[1]


def gets(
    guest: Guest,
    path: str,
    *,
    head: bytes = b"",
    port: int = 40000,
    router: str = SLIRP,
    own: str = "",
    there: str = METADATA,
) -> bytes:
    """Ask as a guest's own TCP would, and return the whole answer."""
    peer = Peer(port=port)
    source, target = ip_address(own or guest.ip).packed, ip_address(there).packed
    ends = Ends(to_mac=mac(router), from_mac=mac(guest.mac), source=source, target=target)
    guest.sends(write_segment(peer.opens(), ends))
    asked = False
    while not (peer.closed or peer.refused):
        frame = guest.card.recv(20000)
        packet = read_ipv4(frame) or read_ipv6(frame)
        assert packet is not None
        segment = read_segment(frame, packet)
        assert segment is not None
        assert (packet.source, packet.target) == (target, source)
        assert frame[:12] == mac(guest.mac) + mac(router)
        said = peer.takes(segment)
        if not asked and peer.theirs is not None:
            asked = True
            said += peer.says(b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (path.encode(), head))
        if peer.ended:
            said += peer.closes()
        for answer in said:
            guest.sends(write_segment(answer, ends))
    return peer.heard


def test_a_guest_is_answered_and_the_cloud_is_told_who_asks(a, service):
    answer = gets(a, "/openstack/latest/meta_data.json")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200")
    assert body == b"server-1 " * 5000
    asked = service.asked[-1]
    assert asked["path"] == "/metadata/openstack/latest/meta_data.json"
    assert (asked["x-instance-id"], asked["x-tenant-id"]) == ("server-1", "project-1")
    assert asked["x-forwarded-for"] == a.ip
    assert asked["x-instance-id-signature"] == sign("s3cret", "server-1")


def test_a_guest_cannot_say_that_it_is_another(b, service):
    head = b"X-Instance-ID: server-1\r\nX-Tenant-ID: project-1\r\nX-Forwarded-For: 10.0.0.11\r\n"
    assert b"server-2 " in gets(b, "/", head=head)
    assert (service.asked[-1]["x-tenant-id"], service.asked[-1]["x-forwarded-for"]) == (
        "project-2",
        "10.0.0.12",
    )


def test_a_guest_that_looks_for_the_service_on_its_own_wire_finds_it(a):
    a.sends(arp(a.mac, BROADCAST, sender_ip=a.ip, target_ip=METADATA))
    frame = a.card.recv(2000)
    answer = read_arp(frame)
    assert answer is not None
    assert (answer.is_request, answer.sender_ip, answer.target_ip) == (False, ip(METADATA), ip(a.ip))
    found = answer.sender_mac.hex(":")
    assert b"server-1 " in gets(a, "/", router=found)


def test_a_guest_finds_the_service_by_ipv6_too(a):
    own, there = ip_address("fe80::f816:3eff:fe00:1").packed, ip_address(METADATA_V6).packed
    wanted = struct.pack(">BBHI", 135, 0, 0, 0) + there + b"\x01\x01" + mac(a.mac)
    group = ip_address("ff02::1:fffe:a9fe").packed
    head = struct.pack(">IHBB", 6 << 28, len(wanted), ICMPV6, 255) + own + group
    a.sends(mac("33:33:ff:fe:a9:fe") + mac(a.mac) + b"\x86\xdd" + head + wanted)
    frame = a.card.recv(2000)
    packet = read_ipv6(frame)
    assert packet is not None
    assert (packet.source, packet.target, packet.source_port) == (there, own, 136)
    said = frame[54:]
    assert (said[8:24], said[24:26]) == (there, b"\x02\x01")
    assert checksum(there + own + struct.pack(">II", len(said), ICMPV6) + said) == 0
    answer = gets(
        a, "/", router=said[26:32].hex(":"), own="fe80::f816:3eff:fe00:1", there=METADATA_V6, port=40002
    )
    assert b"server-1 " in answer


def test_the_platform_may_be_down_and_come_back(bench, service, a):
    away = Service()
    site = away.site
    away.shutdown()
    away.server_close()
    bench.fabric.apply(NetworkPlan(ports=(A, B), metadata=site))
    assert gets(a, "/").startswith(b"HTTP/1.1 503 ")
    bench.fabric.apply(NetworkPlan(ports=(A, B), metadata=service.site))
    assert b"server-1 " in gets(a, "/", port=40001)


def test_rules_that_let_nothing_out_let_no_question_out(bench, service, a):
    inside = Rule(direction="egress", protocol=None, port_min=None, port_max=None, remote_cidr="10.0.0.0/8")
    bench.fabric.apply(NetworkPlan(ports=(replace(A, rules=(inside,)), B), metadata=service.site))
    there = Ends(to_mac=mac(SLIRP), from_mac=mac(a.mac), source=ip(a.ip), target=ip(METADATA))
    refused = bench.order("stats")["refused"]
    a.sends(write_segment(Peer().opens(), there))
    assert bench.waits_until(lambda: bench.order("stats")["refused"] > refused)


def test_a_segment_out_of_the_blue_is_refused(a):
    peer = Peer(port=41000)
    peer.theirs = 5
    there = Ends(to_mac=mac(SLIRP), from_mac=mac(a.mac), source=ip(a.ip), target=ip(METADATA))
    a.sends(write_segment(peer.says(b"GET /")[0], there))
    frame = a.card.recv(2000)
    packet = read_ipv4(frame)
    assert packet is not None
    segment = read_segment(frame, packet)
    assert segment is not None
    peer.takes(segment)
    assert peer.refused
