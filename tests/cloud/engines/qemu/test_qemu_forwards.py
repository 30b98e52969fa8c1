"""Which ports a floating IP answers for."""

import pytest

from armillary.base.ids import NetworkId, PortId, ServerId
from armillary.cloud.engines.qemu.fabric import WELL_KNOWN, WELL_KNOWN_UDP, wanted_forwards
from armillary.cloud.model import PortPlan, PortSpec, Rule

SPEC = PortSpec(
    id=PortId("p"), network_id=NetworkId("n"), mac="fa:16:3e:00:00:01",
    fixed_ip="10.0.0.5", cidr="10.0.0.0/24", gateway_ip="10.0.0.1",
)  # fmt: skip


def rule(protocol="tcp", low=None, high=None, *, direction="ingress", cidr=None, ips=None):
    return Rule(
        direction=direction, protocol=protocol, port_min=low, port_max=high, remote_cidr=cidr, remote_ips=ips
    )


def opened(*rules, floating_ip="127.16.0.5", filtered=True):
    plan = PortPlan(
        server_id=ServerId("s"), port=SPEC, rules=rules, floating_ip=floating_ip, filtered=filtered
    )
    forwards = wanted_forwards(plan)
    assert {(way.address, way.fixed_ip) for way in forwards} <= {(floating_ip, "10.0.0.5")}
    return {way.number if way.protocol == "tcp" else f"{way.number}/udp" for way in forwards}


def test_a_rule_for_one_port_opens_that_port():
    assert opened(rule(low=22, high=22)) == {22}


def test_a_narrow_range_is_opened_whole():
    assert opened(rule(low=8000, high=8031)) == set(range(8000, 8032))


def test_a_wide_range_is_opened_at_the_well_known_ports():
    assert opened(rule(low=1, high=1000)) == {22, 80, 443}
    assert opened(rule()) == opened(rule(protocol=None)) == set(WELL_KNOWN)


@pytest.mark.parametrize(
    "closed",
    [
        rule(protocol="icmp"),
        rule(low=22, high=22, direction="egress"),
        rule(low=22, high=22, cidr="10.0.0.0/24"),
        rule(low=22, high=22, cidr="::/0"),
        rule(low=22, high=22, ips=frozenset({"10.0.0.7"})),
    ],
)
def test_rules_that_do_not_let_this_computer_in_open_nothing(closed):
    assert opened(closed) == set()


def test_without_a_floating_ip_nothing_is_open():
    assert opened(rule(), floating_ip=None) == set()


def test_without_port_security_the_well_known_ports_are_open():
    assert opened(filtered=False) == set(WELL_KNOWN)


def test_udp_is_open_where_a_rule_names_it():
    assert opened(rule("udp", low=60000, high=60010)) == {f"{number}/udp" for number in range(60000, 60011)}
    assert opened(rule("17")) == {f"{number}/udp" for number in WELL_KNOWN_UDP}


def test_each_address_of_a_port_has_its_own_floating_ip():
    further = (("127.16.0.6", "10.0.0.6"),)
    plan = PortPlan(
        server_id=ServerId("s"), port=SPEC, rules=(rule(low=22, high=22),), floating_ip="127.16.0.5",
        further_floating_ips=further,
    )  # fmt: skip
    assert {(way.address, way.fixed_ip) for way in wanted_forwards(plan)} == {
        ("127.16.0.5", "10.0.0.5"), *further,
    }  # fmt: skip
