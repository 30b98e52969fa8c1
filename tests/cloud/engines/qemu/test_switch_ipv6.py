"""IPv6 between machines: the same rules, discovery that always works, and nobody who is somebody else."""

import struct
from ipaddress import IPv4Network

import pytest
from frame_builder import ip as packed
from frame_builder import mac as hardware
from ipv6_frames import (
    ALL_NODES,
    ALL_ROUTERS,
    dhcp6,
    i_have,
    icmp6,
    ip6,
    ipv6,
    multicast_mac,
    ping6,
    tcp6,
    udp6,
    who_has,
)

from armillary.cloud.engines.qemu import ipv6_router
from armillary.cloud.engines.qemu.flows import Advertised, Pair, Port
from armillary.cloud.engines.qemu.forwarding import Forwarder
from armillary.cloud.engines.qemu.packets import checksum
from armillary.cloud.engines.qemu.rules import compile_rules

A, B = "fa:16:3e:00:00:0a", "fa:16:3e:00:00:0b"
OF = {A: "fd00::a", B: "fd00::b"}
LINK = {A: "fe80::f816:3eff:fe00:a", B: "fe80::f816:3eff:fe00:b"}
NOW = 1000.0
TO_A, TO_B, ROUTER = ("0a", "card"), ("0b", "card"), ("0a", "router")


def rule(direction="ingress", protocol=None, low=None, high=None, cidr=None, ips=None, ethertype="IPv6"):
    return {
        "direction": direction, "ethertype": ethertype, "protocol": protocol, "port_min": low, "port_max": high,
        "remote_cidr": cidr, "remote_ips": ips,
    }  # fmt: skip


OUT = rule("egress")


class Net:
    """Two machines on one network."""

    def __init__(self, a=(OUT,), b=(OUT,), **of_a):
        self.forwarder = Forwarder()
        self.plan(a, b, **of_a)

    def plan(self, a=(OUT,), b=(OUT,), **of_a):
        ports = [self._port(A, a, **of_a), self._port(B, b)]
        self.forwarder.configure(ports, host_ports=frozenset(), own_addresses=frozenset())

    def _port(self, address, rules, **more):
        return Port(
            key=address[-2:], network="n", mac=hardware(address), ip=packed(f"10.0.0.1{address[-1]}".replace("a", "0").replace("b", "1")),
            subnet=IPv4Network("10.0.0.0/24"), gateway=packed("10.0.0.1"), rules=compile_rules(rules),
            more=frozenset({ip6(OF[address])}), **more,
        )  # fmt: skip

    def sends(self, address, frame, now=NOW):
        return self.forwarder.ipv6.from_card(self.forwarder.ports[address[-2:]], frame, now)


def a_to_b(dport=22, **more):
    return tcp6((A, B), OF[A], OF[B], 40000, dport, **more)


def b_to_a(**more):
    return tcp6((B, A), OF[B], OF[A], 22, 40000, **more)


SSH = rule(protocol="tcp", low=22, high=22)


def test_the_rules_of_ipv6_open_what_they_name_and_replies_follow():
    net = Net(b=(SSH,))
    assert net.sends(A, a_to_b(dport=80)) == ()
    assert net.sends(B, b_to_a()) == ()
    assert net.sends(A, a_to_b()) == (TO_B,)
    assert net.sends(B, b_to_a(flags=0x12)) == (TO_A,)


def test_a_rule_of_ipv4_opens_nothing_to_ipv6():
    assert Net(b=(rule(protocol="tcp", low=22, high=22, ethertype="IPv4"),)).sends(A, a_to_b()) == ()


def test_a_change_of_the_rules_cuts_what_goes_on():
    net = Net(b=(SSH,))
    net.sends(A, a_to_b())
    net.plan(b=(OUT,))
    assert net.sends(A, a_to_b(flags=0x10)) == ()


@pytest.mark.parametrize(
    ("remote", "passes"),
    [
        ({"ips": [OF[A], "10.0.0.9"]}, True),
        ({"ips": ["fd00::99"]}, False),
        ({"cidr": "fd00::/64"}, True),
        ({"cidr": "fd01::/64"}, False),
        ({"cidr": "::/0"}, True),
    ],
)
def test_remote_groups_and_ranges_are_looked_at(remote, passes):
    assert bool(Net(b=(rule(**remote),)).sends(A, a_to_b())) is passes


def test_pings_pass_where_icmpv6_is_allowed():
    net = Net(b=(rule(protocol="ipv6-icmp", low=128),))
    assert net.sends(A, ping6((A, B), OF[A], OF[B])) == (TO_B,)
    assert net.sends(B, ping6((B, A), OF[B], OF[A], reply=True)) == (TO_A,)
    assert Net().sends(A, ping6((A, B), OF[A], OF[B])) == ()


def test_udp_and_extension_headers_are_understood():
    net = Net(b=(rule(protocol="udp", low=53, high=53), SSH))
    assert net.sends(A, udp6((A, B), OF[A], OF[B], 5000, 53)) == (TO_B,)
    assert net.sends(A, udp6((A, B), OF[A], OF[B], 5000, 54)) == ()
    assert net.sends(A, a_to_b(before=bytes([6, 0, 1, 4, 0, 0, 0, 0]))) == (TO_B,)


def test_discovery_passes_without_any_rule():
    net = Net(a=(), b=())
    assert net.sends(A, who_has(A, LINK[A], OF[B])) == (TO_B,)
    assert net.sends(B, i_have((B, A), OF[B], LINK[A], OF[B])) == (TO_A,)
    assert net.sends(A, who_has(A, "::", OF[A])) == (), "nobody else has it: the address is free"


def test_nobody_claims_an_address_that_is_not_its_own():
    net = Net(b=(rule(),))
    assert net.sends(A, i_have((A, B), OF[A], OF[B], OF[B])) == ()
    assert net.sends(A, tcp6((A, B), "fd00::dead", OF[B], 1, 22)) == ()
    assert net.sends(A, tcp6((B, A), OF[B], OF[A], 1, 22)) == ()
    assert net.sends(A, who_has(A, "fd00::dead", OF[B])) == ()


def test_nobody_plays_the_router_or_serves_addresses():
    net = Net(b=(rule(),))
    assert net.sends(A, icmp6((A, multicast_mac(ALL_NODES)), LINK[A], ALL_NODES, 134)) == ()
    assert net.sends(A, udp6((A, B), LINK[A], LINK[B], 547, 546)) == ()


def test_without_port_security_everything_leaves():
    net = Net(a=(), b=(rule(),), filtered=False)
    assert net.sends(A, tcp6((A, B), "fd00::dead", OF[B], 1, 22)) == (TO_B,)


def test_an_address_pair_may_be_sent_from_and_is_found():
    pair = Pair(length=16, network=int.from_bytes(ip6("fd00::77"), "big"), netmask=2**128 - 1, mac=None)
    net = Net(b=(OUT, rule()), pairs=(pair,))
    assert net.sends(A, tcp6((A, B), "fd00::77", OF[B], 1, 22)) == (TO_B,)
    assert net.sends(B, who_has(B, LINK[B], "fd00::77")) == (TO_A,)


def test_a_broken_or_cut_frame_goes_nowhere():
    net = Net(b=(rule(),))
    whole = a_to_b()
    assert net.sends(A, whole[:50]) == ()
    assert net.sends(A, ipv6((A, B), OF[A], OF[B], 0, b"\0")) == ()


def told(**changes):
    given = {
        "prefixes": ((ip6("fd00::"), 64, True),), "leases": (), "resolvers": (), "managed": False, "mtu": 1400
    }  # fmt: skip
    return Advertised(**{**given, **changes})


def asked(frame, advertised):
    net = Net(advertised=advertised)
    assert net.sends(A, frame) == (ROUTER,)
    return ipv6_router.answer(net.forwarder.ports["0a"], frame)


def sums_up(frame):
    payload = frame[54:]
    pseudo = frame[22:54] + struct.pack("!II", len(payload), frame[20])
    return checksum(pseudo + payload) == 0


def test_a_guest_that_asks_for_a_router_hears_its_prefix_and_of_no_way_out():
    said = asked(icmp6((A, multicast_mac(ALL_ROUTERS)), LINK[A], ALL_ROUTERS, 133), told())
    message = said[54:]
    assert sums_up(said)
    assert (message[0], message[5], struct.unpack("!H", message[6:8])) == (134, 0, (0,))
    prefix = message[message.index(b"\x03\x04") :]
    assert (prefix[2], prefix[3], prefix[16:32]) == (64, 0xC0, ip6("fd00::"))
    assert struct.pack("!BBHI", 5, 1, 0, 1400) in message


def test_a_guest_leases_the_address_that_its_port_has():
    lease = told(prefixes=((ip6("fd00::"), 64, False),), leases=(ip6(OF[A]),), managed=True)
    association = (3, b"iaid" + bytes(8))
    offer = asked(dhcp6(A, LINK[A], 1, (1, b"me"), association), lease)
    assert sums_up(offer)
    assert offer[62] == 2
    assert ip6(OF[A]) in offer
    server = offer[offer.index(struct.pack("!HH", 2, 10)) + 4 :][:10]
    reply = asked(dhcp6(A, LINK[A], 3, (1, b"me"), (2, server), association), lease)
    assert (reply[62], ip6(OF[A]) in reply) == (7, True)
    assert asked(dhcp6(A, LINK[A], 3, (1, b"me"), (2, b"somebody"), association), lease) is None


def test_a_guest_without_a_lease_hears_of_resolvers_only():
    told_so = told(resolvers=(ip6("fd00::53"),))
    assert asked(dhcp6(A, LINK[A], 1, (1, b"me"), (3, b"iaid" + bytes(8))), told_so) is None
    assert ip6("fd00::53") in asked(dhcp6(A, LINK[A], 11), told_so)
