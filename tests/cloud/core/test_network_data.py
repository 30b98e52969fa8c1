"""What `network_data.json` says of ports with addresses of all kinds."""

from dataclasses import replace
from datetime import UTC, datetime

from armillary.base.ids import NetworkId, PortId, ProjectId, SubnetId
from armillary.cloud.core.about import Card
from armillary.cloud.core.network_data import network_data
from armillary.cloud.network.model import FixedIp, Port, Subnet

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COMMON = {
    "project_id": ProjectId("p"), "name": "", "description": "", "created_at": NOW, "updated_at": NOW,
    "network_id": NetworkId("net"),
}  # fmt: skip
V4 = Subnet(**COMMON, id=SubnetId("four"), ip_version=4, cidr="10.0.0.0/24", gateway_ip="10.0.0.1")
V6 = Subnet(**COMMON, id=SubnetId("six"), ip_version=6, cidr="fd00::/64", gateway_ip="fd00::1")
ADDRESSES = {V4.id: "10.0.0.4", V6.id: "fd00::4"}


def card(*subnets, mtu=1500, **port):
    fixed = tuple(FixedIp(subnet_id=subnet.id, ip_address=ADDRESSES[subnet.id]) for subnet in subnets)
    made = Port(
        **COMMON, id=PortId(port.get("id", "abcdefgh-ijkl")), mac_address="fa:16:3e:00:00:01", fixed_ips=fixed
    )
    return Card(port=made, mtu=mtu, subnets=subnets)


def networks(*cards):
    return network_data(cards)["networks"]


def test_an_address_by_dhcp_is_left_to_dhcp():
    (network,) = networks(card(V4))
    assert network == {"id": "network0", "type": "ipv4_dhcp", "link": "tapabcdefgh-ij", "network_id": "net"}


def test_an_address_without_dhcp_is_told_with_routes_and_resolvers():
    routes = ({"destination": "192.168.7.0/24", "nexthop": "10.0.0.9"},)
    subnet = replace(V4, enable_dhcp=False, dns_nameservers=("9.9.9.9",), host_routes=routes)
    (network,) = networks(card(subnet))
    assert network == {
        "id": "network0", "type": "ipv4", "link": "tapabcdefgh-ij", "network_id": "net",
        "ip_address": "10.0.0.4", "netmask": "255.255.255.0",
        "routes": [
            {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"},
            {"network": "192.168.7.0", "netmask": "255.255.255.0", "gateway": "10.0.0.9"},
        ],
        "services": [{"type": "dns", "address": "9.9.9.9"}],
    }  # fmt: skip
    assert network_data([card(subnet)])["services"] == [{"type": "dns", "address": "9.9.9.9"}]


def test_an_ipv6_address_says_how_it_is_come_by():
    slaac = replace(V6, ipv6_address_mode="slaac", ipv6_ra_mode="slaac")
    stateful = replace(V6, ipv6_address_mode="dhcpv6-stateful")
    assert [n["type"] for n in networks(card(V4, slaac))] == ["ipv4_dhcp", "ipv6_slaac"]
    assert [n["type"] for n in networks(card(stateful))] == ["ipv6_dhcpv6-stateful"]
    assert [n["type"] for n in networks(card(replace(V6, enable_dhcp=False)))] == ["ipv6"]
    (network,) = networks(card(slaac))
    assert (network["ip_address"], network["netmask"]) == ("fd00::4", "ffff:ffff:ffff:ffff::")
    assert network["routes"] == [{"network": "::", "netmask": "::", "gateway": "fd00::1"}]


def test_several_ports_are_numbered_on_and_resolvers_are_named_once():
    named = replace(V4, dns_nameservers=("9.9.9.9",))
    found = network_data([card(named), card(named, id="zyxwvuts-rqpo", mtu=1400)])
    assert [link["mtu"] for link in found["links"]] == [1500, 1400]
    assert [(n["id"], n["link"]) for n in found["networks"]] == [
        ("network0", "tapabcdefgh-ij"), ("network1", "tapzyxwvuts-rq"),
    ]  # fmt: skip
    assert len(found["services"]) == 1


def test_a_port_without_addresses_is_left_out():
    assert network_data([card()]) == {"links": [], "networks": [], "services": []}
