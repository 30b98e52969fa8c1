"""The cloud's rules by themselves: states, quota, capacity, addresses, plans."""

from dataclasses import replace

import pytest

from armillary.accounts.model import Allocation
from armillary.base.clock import VirtualClock
from armillary.base.errors import QuotaExceeded
from armillary.base.ids import FloatingIpId, NetworkId, PortId, ProjectId, SecurityGroupId, SubnetId
from armillary.base.units import GiB, MiB
from armillary.cloud.compute.creation import hostname_of
from armillary.cloud.compute.model import TaskState, VmState
from armillary.cloud.core.addressing import default_pools, free_address, mac_of
from armillary.cloud.core.flavors import DEFAULT_FLAVORS
from armillary.cloud.core.plan import NetworkRecords, build_plan
from armillary.cloud.core.quota import Amounts, charge, limits_of, no_room
from armillary.cloud.core.states import observed, refusal, status_of
from armillary.cloud.model import Capacity, MachineState
from armillary.cloud.network.model import FixedIp, FloatingIp, Network, Port, SecurityGroupRule, Subnet

SMALL, BIG = DEFAULT_FLAVORS[1], DEFAULT_FLAVORS[3]


@pytest.mark.parametrize(
    ("vm_state", "task_state", "status"),
    [
        (VmState.BUILDING, TaskState.SCHEDULING, "BUILD"),
        (VmState.ACTIVE, None, "ACTIVE"),
        (VmState.ACTIVE, TaskState.POWERING_OFF, "ACTIVE"),
        (VmState.ACTIVE, TaskState.REBOOTING, "REBOOT"),
        (VmState.ACTIVE, TaskState.REBOOTING_HARD, "HARD_REBOOT"),
        (VmState.STOPPED, None, "SHUTOFF"),
        (VmState.ERROR, None, "ERROR"),
    ],
)
def test_the_status_follows_from_the_two_states(vm_state, task_state, status):
    assert status_of(vm_state, task_state) == status


def test_an_action_waits_for_the_one_before():
    assert refusal("stop", VmState.ACTIVE, None) is None
    assert "task_state image_snapshot" in str(refusal("stop", VmState.ACTIVE, TaskState.IMAGE_SNAPSHOT))
    assert "vm_state building" in str(refusal("reboot", VmState.BUILDING, TaskState.SPAWNING))


def test_the_world_is_believed_about_servers_at_rest():
    assert observed(VmState.ACTIVE, MachineState.STOPPED) is VmState.STOPPED
    assert observed(VmState.STOPPED, MachineState.RUNNING) is VmState.ACTIVE
    assert observed(VmState.ACTIVE, MachineState.MISSING) is VmState.ERROR
    assert observed(VmState.ERROR, MachineState.RUNNING) is VmState.ERROR


def test_limits_come_from_the_allocation_and_an_administrator_s_word_counts_more():
    allocation = Allocation(cores=2, ram=MiB(4096), disk=GiB(1), storage=GiB(1), batch_cores=2)
    assert limits_of(allocation, {}) == Amounts(instances=10, cores=4, ram=8192)
    assert limits_of(allocation, {"cores": -1}).cores == -1


def test_what_fits_exactly_is_granted_and_one_more_is_not():
    limits = Amounts(instances=2, cores=2, ram=-1)
    charge(limits, Amounts(instances=1, cores=1, ram=9999), Amounts(instances=1, cores=1, ram=9999))
    with pytest.raises(QuotaExceeded) as refused:
        charge(limits, Amounts(instances=2, cores=2), Amounts(instances=1, cores=1))
    assert refused.value.message == (
        "Quota exceeded for instances, cores: Requested 1, 1, but already used 2, 2 of 2, 2 instances, cores"
    )


def test_capacity_is_refused_with_what_is_free():
    capacity = Capacity(vcpus=4, ram=MiB(9000), disk=GiB(1000))
    assert no_room(capacity, [], BIG) is None
    said = str(no_room(capacity, [SMALL], BIG))
    assert "vCPUs: 4 asked, 3 of 4 free" in said
    assert "RAM: 8192 MiB asked, 7976 MiB of 9000 MiB free" in said


def test_addresses_go_up_from_where_the_engine_s_own_end():
    pools = default_pools("10.0.0.0/29", "10.0.0.1")
    assert pools == ({"start": "10.0.0.2", "end": "10.0.0.6"},)
    assert free_address("10.0.0.0/29", pools, set()) == "10.0.0.4"
    assert free_address("10.0.0.0/29", pools, {"10.0.0.4", "10.0.0.5", "10.0.0.6"}) == "10.0.0.2"
    assert free_address("10.0.0.0/29", pools, {f"10.0.0.{n}" for n in range(2, 7)}) is None


def test_a_gateway_in_the_middle_parts_the_pool():
    assert default_pools("10.0.0.0/29", "10.0.0.3") == (
        {"start": "10.0.0.1", "end": "10.0.0.2"},
        {"start": "10.0.0.4", "end": "10.0.0.6"},
    )


def test_macs_are_in_openstack_s_range():
    assert mac_of("6f0a7f3c-0000-4000-8000-0000deadbeef") == "fa:16:3e:ad:be:ef"


@pytest.mark.parametrize(
    ("name", "host"), [("My VM_1", "my-vm-1"), ("é", "server-7"), ("a.b.", "a.b"), ("x" * 99, "x" * 63)]
)
def test_a_host_name_is_made_of_a_server_s_name(name, host):
    assert hostname_of(name, "7") == host


def _records(**port):
    now = VirtualClock().now()
    common = {
        "project_id": ProjectId("p"),
        "name": "",
        "description": "",
        "created_at": now,
        "updated_at": now,
    }
    network, subnet, group = NetworkId("n"), SubnetId("s"), SecurityGroupId("g")

    def plug(number, **changes):
        fields = {"device_id": f"server{number}", "device_owner": "compute:nova", "security_groups": (group,)}
        return Port(
            id=PortId(f"p{number}"),
            network_id=network,
            mac_address=f"fa:16:3e:00:00:0{number}",
            fixed_ips=(FixedIp(subnet_id=subnet, ip_address=f"10.0.0.{number}"),),
            **common,
            **(fields | changes),
        )

    return NetworkRecords(
        networks=[Network(id=network, mtu=1400, **common)],
        subnets=[
            Subnet(
                id=subnet,
                network_id=network,
                ip_version=4,
                cidr="10.0.0.0/24",
                gateway_ip="10.0.0.1",
                **common,
            )
        ],
        ports=[plug(4, **port), plug(5)],
        rules=[
            SecurityGroupRule(
                id="r1", security_group_id=group, direction="ingress", remote_group_id=group, **common
            ),
            SecurityGroupRule(
                id="r2", security_group_id=group, direction="egress", ethertype="IPv6", **common
            ),
            SecurityGroupRule(
                id="r3", security_group_id=group, direction="ingress", remote_ip_prefix="0.0.0.0/0", **common
            ),
        ],
        floating_ips=[
            FloatingIp(
                id=FloatingIpId("f"),
                network_id=NetworkId("x"),
                address="127.16.0.9",
                port_id=PortId("p4"),
                **common,
            )
        ],
    )


def test_a_plan_names_every_server_s_port_with_its_rules():
    one, two = build_plan(_records(), host_ports=[8443]).ports
    assert (one.server_id, one.port.fixed_ip, one.port.mtu, one.floating_ip) == (
        "server4", "10.0.0.4", 1400, "127.16.0.9",
    )  # fmt: skip
    assert two.floating_ip is None
    remote, of_ipv6, anywhere = one.rules
    assert (of_ipv6.ethertype, anywhere.ethertype) == ("IPv6", "IPv4")
    assert remote.remote_ips == {"10.0.0.4", "10.0.0.5"}
    assert (anywhere.remote_cidr, anywhere.remote_ips) == (None, None)


@pytest.mark.parametrize(
    "change", [{"device_id": ""}, {"device_owner": "network:router_interface"}, {"admin_state_up": False}]
)
def test_a_port_that_no_server_uses_is_not_in_the_plan(change):
    assert [port.server_id for port in build_plan(_records(**change)).ports] == ["server5"]


def test_a_port_without_port_security_is_not_filtered():
    assert not build_plan(_records(port_security_enabled=False)).ports[0].filtered


def _with_ipv6(records, **subnet):
    six = replace(records.subnets[0], id=SubnetId("six"), ip_version=6, cidr="fd00::/64", **subnet)
    ports = [
        replace(port, fixed_ips=(*port.fixed_ips, FixedIp(subnet_id=six.id, ip_address=f"fd00::{n}")))
        for n, port in enumerate(records.ports)
    ]
    return replace(records, subnets=[*records.subnets, six], ports=ports)


@pytest.mark.parametrize(
    ("subnet", "mode"),
    [
        ({"ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}, "slaac"),
        ({"ipv6_ra_mode": "dhcpv6-stateless"}, "dhcpv6-stateless"),
        ({}, "dhcpv6-stateful"),
        ({"enable_dhcp": False}, ""),
    ],
)
def test_a_plan_says_how_guests_come_by_their_ipv6_addresses(subnet, mode):
    one = build_plan(_with_ipv6(_records(), **subnet)).ports[0]
    assert [(a.ip, a.cidr, a.mode) for a in one.addresses] == [("fd00::0", "fd00::/64", mode)]
    assert one.port.fixed_ip == "10.0.0.4"


def test_a_port_of_ipv6_alone_has_a_card_without_an_ipv4_address():
    records = _with_ipv6(_records())
    alone = [replace(port, fixed_ips=port.fixed_ips[1:]) for port in records.ports]
    one = build_plan(replace(records, ports=alone)).ports[0]
    assert (one.port.fixed_ip, [a.ip for a in one.addresses]) == ("", ["fd00::0"])
