"""What may pass between machines, to this computer, and to the world."""

from ipaddress import IPv4Network

import pytest
from frame_builder import ACK, BROADCAST, FIN, SLIRP, arp, ethernet, ping, tcp, udp, unreachable
from frame_builder import ip as packed
from frame_builder import mac as hardware

from armillary.cloud.engines.qemu.flows import MAX_FLOWS, Port
from armillary.cloud.engines.qemu.forwarding import Forwarder
from armillary.cloud.engines.qemu.rules import compile_rules

A, B, C = "fa:16:3e:00:00:0a", "fa:16:3e:00:00:0b", "fa:16:3e:00:00:0c"
IP = {A: "10.0.0.10", B: "10.0.0.11", C: "10.0.0.10"}
GATEWAY, RESOLVER, OUTSIDE, OWN = "10.0.0.1", "10.0.0.3", "93.184.216.34", "192.0.2.7"
NOW = 1000.0


def rule(direction="ingress", protocol=None, low=None, high=None, cidr=None, ips=None):
    return {
        "direction": direction, "protocol": protocol, "port_min": low, "port_max": high,
        "remote_cidr": cidr, "remote_ips": ips,
    }  # fmt: skip


OUT = rule("egress")
SSH = rule(protocol="tcp", low=22, high=22, cidr="0.0.0.0/0")


def port(address, *rules, network="n1", filtered=True):
    return Port(
        key=address[-2:], network=network, mac=hardware(address), ip=packed(IP[address]),
        subnet=IPv4Network("10.0.0.0/24"), gateway=packed(GATEWAY), rules=compile_rules(rules), filtered=filtered,
    )  # fmt: skip


class Net:
    """Two machines A and B on one network, C elsewhere with A's address."""

    def __init__(self, a=(OUT,), b=(OUT,), *, filtered=True, host_ports=frozenset({8443})):
        self.forwarder = Forwarder()
        self.host_ports = host_ports
        self.plan(a, b, filtered=filtered)

    def plan(self, a=(OUT,), b=(OUT,), *, filtered=True):
        ports = [port(A, *a, filtered=filtered), port(B, *b), port(C, OUT, network="n2")]
        self.forwarder.configure(ports, host_ports=self.host_ports, own_addresses=frozenset({packed(OWN)}))

    def sends(self, address, frame, now=NOW):
        return self.forwarder.from_card(self.forwarder.ports[address[-2:]], frame, now)

    def enters(self, address, frame, now=NOW):
        return self.forwarder.from_out(self.forwarder.ports[address[-2:]], frame, now)


TO_A, TO_B, OUTWARD = ("0a", "card"), ("0b", "card"), ("0a", "out")


def a_to_b(sport=40000, dport=22, **more):
    return tcp((A, B), IP[A], IP[B], sport, dport, **more)


def b_to_a(sport=22, dport=40000, **more):
    return tcp((B, A), IP[B], IP[A], sport, dport, **more)


def outward(target, dport=443, sport=40000, **more):
    return tcp((A, SLIRP), IP[A], target, sport, dport, **more)


def test_a_neighbour_is_reached_where_its_ingress_rules_allow():
    net = Net(b=(OUT, SSH))
    assert net.sends(A, a_to_b(dport=22)) == TO_B
    assert net.sends(A, a_to_b(dport=80)) is None


def test_replies_pass_without_a_rule_of_their_own():
    net = Net(b=(SSH,))
    assert net.sends(B, b_to_a()) is None
    net.sends(A, a_to_b())
    assert net.sends(B, b_to_a(flags=ACK)) == TO_A
    assert net.sends(A, a_to_b(flags=ACK)) == TO_B


def test_egress_rules_bind_the_sender():
    net = Net(a=(rule("egress", "tcp", 80, 80),), b=(OUT, SSH))
    assert net.sends(A, a_to_b(dport=22)) is None


def test_a_rule_for_a_group_admits_its_members_only():
    assert Net(b=(rule(ips=[IP[A]]),)).sends(A, a_to_b()) == TO_B
    assert Net(b=(rule(ips=["10.0.0.99"]),)).sends(A, a_to_b()) is None


def test_a_rule_for_a_range_of_addresses_admits_that_range_only():
    assert Net(b=(rule(cidr="10.0.0.0/28"),)).sends(A, a_to_b()) == TO_B
    assert Net(b=(rule(cidr="10.1.0.0/16"),)).sends(A, a_to_b()) is None


def test_machines_of_other_networks_are_not_there():
    net = Net(b=(rule(),))
    assert net.sends(A, tcp((A, C), IP[A], IP[C], 1, 22)) is None
    assert net.sends(B, tcp((B, C), IP[B], IP[C], 1, 22)) is None


@pytest.mark.parametrize("protocol", ["icmp", "1", None])
def test_pings_pass_both_ways_where_icmp_is_allowed(protocol):
    net = Net(b=(rule(protocol=protocol),))
    assert net.sends(A, ping((A, B), IP[A], IP[B])) == TO_B
    assert net.sends(B, ping((B, A), IP[B], IP[A], reply=True)) == TO_A
    assert net.sends(B, ping((B, A), IP[B], IP[A], number=2)) is None


def test_an_icmp_error_follows_the_conversation_that_it_is_about():
    net = Net(b=(rule(protocol="udp"),))
    asked = udp((A, B), IP[A], IP[B], 5000, 6000)
    answer = unreachable((B, A), IP[B], IP[A], asked)
    assert net.sends(B, answer) is None
    net.sends(A, asked)
    assert net.sends(B, answer) == TO_A


def test_later_fragments_follow_the_first():
    net = Net(b=(rule(protocol="udp", low=6000, high=6000),))
    first = udp((A, B), IP[A], IP[B], 5000, 6000, fragment=0x2000)
    later = udp((A, B), IP[A], IP[B], 0, 0, fragment=0x0002)
    assert net.sends(A, later) is None
    assert net.sends(A, first) == TO_B
    assert net.sends(A, later) == TO_B


@pytest.mark.parametrize(
    "frame",
    [
        tcp((B, SLIRP), IP[A], OUTSIDE, 1, 443),
        tcp((A, SLIRP), "10.0.0.99", OUTSIDE, 1, 443),
        arp(A, BROADCAST, sender_ip=IP[B], target_ip=GATEWAY),
        arp(A, B, sender_ip=GATEWAY, target_ip=IP[B], reply=True),
        arp(A, BROADCAST, sender_ip=IP[A], target_ip=GATEWAY, sender=B),
        udp((A, B), IP[A], IP[B], 67, 68),
    ],
    ids=["hardware address", "address", "ARP address", "ARP for the gateway", "ARP hardware", "DHCP server"],
)
def test_what_claims_to_come_from_somebody_else_is_dropped(frame):
    assert Net(b=(rule(),)).sends(A, frame) is None


def test_without_port_security_only_this_computer_stays_protected():
    net = Net(a=(), b=(rule(),), filtered=False)
    assert net.sends(A, tcp((A, B), "10.0.0.99", IP[B], 1, 22)) == TO_B
    assert net.sends(A, outward(OUTSIDE)) == OUTWARD
    assert net.sends(A, outward("127.0.0.1")) is None
    assert net.sends(A, outward(GATEWAY, 22)) is None


def test_the_address_is_asked_for_by_dhcp():
    net = Net(a=())
    assert net.sends(A, udp((A, BROADCAST), "0.0.0.0", "255.255.255.255", 68, 67)) == OUTWARD
    assert net.sends(A, udp((A, SLIRP), IP[A], GATEWAY, 68, 67)) == OUTWARD
    assert net.sends(A, udp((A, SLIRP), IP[A], "10.0.0.77", 68, 67)) is None
    assert net.enters(A, udp((SLIRP, A), GATEWAY, IP[A], 67, 68))


def test_names_are_asked_at_the_resolver_and_nothing_else_there():
    net = Net()
    assert net.sends(A, udp((A, SLIRP), IP[A], RESOLVER, 5000, 53)) == OUTWARD
    assert net.enters(A, udp((SLIRP, A), RESOLVER, IP[A], 53, 5000))
    assert net.sends(A, outward(RESOLVER, 53)) == OUTWARD
    assert net.sends(A, outward(RESOLVER, 22)) is None


def test_of_this_computer_only_the_host_ports_are_reached():
    net = Net()
    assert net.sends(A, outward(GATEWAY, 8443)) == OUTWARD
    assert net.sends(A, outward(GATEWAY, 5432)) is None
    assert net.sends(A, udp((A, SLIRP), IP[A], GATEWAY, 5000, 8443)) is None
    assert net.sends(A, ping((A, SLIRP), IP[A], GATEWAY)) == OUTWARD


def test_a_service_at_another_address_of_this_computer_is_reached_at_the_host_ports():
    net = Net()
    assert net.sends(A, outward(OWN, 8443)) == OUTWARD
    assert net.sends(A, outward(OWN, 5432)) is None
    assert net.sends(A, udp((A, SLIRP), IP[A], OWN, 5000, 8443)) is None
    assert net.sends(A, ping((A, SLIRP), IP[A], OWN)) is None


@pytest.mark.parametrize(
    "target",
    ["127.0.0.1", "127.16.0.5", "10.0.0.2", "10.0.0.255", "0.0.0.0", "169.254.169.254", "224.0.0.1"],
)
def test_this_computer_is_not_reached_by_any_other_name(target):
    assert Net().sends(A, outward(target, 8443)) is None


def test_the_world_is_reached_as_the_egress_rules_allow():
    net = Net(a=(rule("egress", "tcp", 443, 443),))
    assert net.sends(A, outward(OUTSIDE, 443)) == OUTWARD
    assert net.sends(A, outward(OUTSIDE, 80)) is None
    assert net.enters(A, tcp((SLIRP, A), OUTSIDE, IP[A], 443, 40000, ACK))
    assert not net.enters(A, tcp((SLIRP, A), OUTSIDE, IP[A], 80, 40000, ACK))


def test_a_floating_ips_callers_enter_where_an_ingress_rule_lets_the_world_in():
    call = tcp((SLIRP, A), GATEWAY, IP[A], 50000, 22)
    answer = outward(GATEWAY, 50000, sport=22, flags=ACK)
    net = Net(a=(SSH,))
    assert net.sends(A, answer) is None
    assert net.enters(A, call)
    assert net.sends(A, answer) == OUTWARD
    assert not Net(a=(OUT,)).enters(A, call)
    assert not Net(a=(rule(cidr="10.0.0.0/24"),)).enters(A, call), "neighbours only"
    assert not Net(a=(rule(ips=[IP[B]]),)).enters(A, call), "the group only"


def test_closing_a_rule_cuts_the_conversations_that_it_had_allowed():
    net = Net(a=(OUT, SSH), b=(OUT, SSH))
    net.sends(A, a_to_b())
    net.enters(A, tcp((SLIRP, A), GATEWAY, IP[A], 50000, 22))
    net.plan(a=(OUT,), b=(OUT,))
    assert net.sends(A, a_to_b(flags=ACK)) is None
    assert net.sends(B, b_to_a(flags=ACK)) is None
    assert not net.enters(A, tcp((SLIRP, A), GATEWAY, IP[A], 50000, 22, ACK))
    assert net.sends(A, outward(GATEWAY, 50000, sport=22, flags=ACK)) is None


def test_conversations_outlive_a_plan_that_leaves_their_rules_alone():
    net = Net(b=(SSH,))
    net.sends(A, a_to_b())
    net.plan(b=(SSH,))
    assert net.sends(B, b_to_a(flags=ACK)) == TO_A


def test_a_conversation_that_said_goodbye_is_forgotten_soon():
    net = Net(b=(SSH,))
    net.sends(A, a_to_b())
    net.sends(A, a_to_b(flags=ACK | FIN))
    assert net.sends(B, b_to_a(flags=ACK), NOW + 30) == TO_A
    assert net.sends(B, b_to_a(flags=ACK), NOW + 300) is None


def test_a_silent_conversation_is_swept_away_from_both_sides():
    net = Net(b=(rule(protocol="udp"),))
    net.sends(A, udp((A, B), IP[A], IP[B], 5000, 6000))
    net.forwarder.sweep(NOW + 1000)
    assert not any(each.sent or each.received for each in net.forwarder.ports.values())


def test_the_number_of_conversations_is_bounded():
    net = Net()
    for number in range(MAX_FLOWS + 10):
        net.sends(A, outward(OUTSIDE, dport=number % 60000, sport=1 + number // 60000))
    each = net.forwarder.ports["0a"]
    assert len(each.sent) == len(each.received) == MAX_FLOWS


def test_arp_goes_to_whom_it_asks_for_and_to_nobody_else():
    net = Net(a=(), b=())
    assert net.sends(A, arp(A, BROADCAST, sender_ip=IP[A], target_ip=IP[B])) == TO_B
    assert net.sends(B, arp(B, A, sender_ip=IP[B], target_ip=IP[A], reply=True)) == TO_A
    assert net.sends(A, arp(A, BROADCAST, sender_ip=IP[A], target_ip=GATEWAY)) == OUTWARD
    assert net.sends(A, arp(A, BROADCAST, sender_ip=IP[A], target_ip="10.0.0.50")) is None
    assert net.enters(A, arp(SLIRP, BROADCAST, sender_ip=GATEWAY, target_ip=IP[A]))


def test_ipv6_and_torn_frames_are_dropped():
    net = Net(b=(rule(),))
    assert net.sends(A, ethernet(A, B, b"\x86\xdd", bytes(40))) is None
    whole = a_to_b()
    assert all(net.sends(A, whole[:length]) is None for length in range(38))
    assert not any(net.enters(A, whole[:length]) for length in range(38))


def test_a_rule_of_one_ip_says_nothing_about_the_other():
    assert compile_rules([rule(cidr="::/0")]) == ()
    of_ipv6 = {**rule(protocol="tcp", low=22, high=22), "ethertype": "IPv6"}
    assert Net(b=(of_ipv6,)).sends(A, a_to_b(dport=22)) is None
