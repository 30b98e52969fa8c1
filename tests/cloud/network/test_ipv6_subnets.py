"""Addresses of IPv6: those that guests make themselves, and those that they are given."""

import pytest

NOBODY = "00000000-0000-0000-0000-000000000000"
MODES = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}


def addresses(port):
    return [fixed["ip_address"] for fixed in port["fixed_ips"]]


def test_a_port_has_an_address_of_each_kind(neutron):
    network, _ = neutron.lab()
    for cidr, modes in (("fd00:1::/64", MODES), ("fd00:2::/64", {})):
        neutron.make("subnet", network_id=network["id"], cidr=cidr, ip_version=6, **modes)
    port = neutron.make("port", network_id=network["id"], mac_address="fa:16:3e:01:02:03")
    assert addresses(port) == ["10.50.0.4", "fd00:2::1", "fd00:1::f816:3eff:fe01:203"]


@pytest.mark.parametrize("mode", ["slaac", "dhcpv6-stateless"])
def test_what_a_guest_makes_itself_cannot_be_chosen(neutron, mode):
    modes = {"ipv6_ra_mode": mode, "ipv6_address_mode": mode}
    network, subnet = neutron.lab("fd00:1::/64", **modes)
    assert (subnet["gateway_ip"], subnet["allocation_pools"][0]["start"]) == ("fd00:1::", "fd00:1::1")
    wish = {"network_id": network["id"], "mac_address": "fa:16:3e:01:02:03"}
    chosen = neutron.cannot_make("port", **wish, fixed_ips=[{"ip_address": "fd00:1::5"}])
    assert chosen[:2] == (400, "AllocationOnAutoAddressSubnet")
    made = neutron.make("port", **wish, fixed_ips=[{"subnet_id": subnet["id"]}])
    assert addresses(made) == ["fd00:1::f816:3eff:fe01:203"]


def test_a_given_address_is_within_the_pool_or_the_one_that_was_asked_for(neutron):
    modes = {"ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful"}
    pools = [{"start": "fd00:1::10", "end": "fd00:1::20"}]
    network, subnet = neutron.lab("fd00:1::/64", allocation_pools=pools, **modes)
    wish = {"network_id": network["id"]}
    assert addresses(neutron.make("port", **wish)) == ["fd00:1::10"]
    asked = [{"subnet_id": subnet["id"], "ip_address": "fd00:1:0::00ff"}]
    assert addresses(neutron.make("port", **wish, fixed_ips=asked)) == ["fd00:1::ff"]
    assert neutron.cannot_make("port", **wish, fixed_ips=asked)[1] == "IpAddressAlreadyAllocated"
    outside = [{"subnet_id": subnet["id"], "ip_address": "fd00:9::1"}]
    assert neutron.cannot_make("port", **wish, fixed_ips=outside)[1] == "InvalidIpForSubnet"


@pytest.mark.parametrize(
    "wrong",
    [
        {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"},
        {"ipv6_ra_mode": "slaac", "enable_dhcp": False},
        {**MODES, "cidr": "fd00::/48"},
        {**MODES, "cidr": "10.51.0.0/24", "ip_version": 4},
    ],
)
def test_modes_that_contradict_each_other_are_refused(neutron, wrong):
    network = neutron.make("network", name="six")
    fine = {"network_id": network["id"], "cidr": "fd00::/64", "ip_version": 6}
    assert neutron.cannot_make("subnet", **{**fine, **wrong})[:2] == (400, "InvalidInput")


def test_a_prefix_that_comes_later_is_every_port_s_and_goes_with_its_subnet(neutron):
    network, _ = neutron.lab()
    port = neutron.make("port", network_id=network["id"], mac_address="fa:16:3e:01:02:03")
    late = neutron.make("subnet", network_id=network["id"], cidr="fd00:1::/64", ip_version=6, **MODES)
    shown = neutron.ok("GET", f"ports/{port['id']}")["port"]
    assert addresses(shown) == ["10.50.0.4", "fd00:1::f816:3eff:fe01:203"]
    neutron.delete("subnet", late["id"])
    assert addresses(neutron.ok("GET", f"ports/{port['id']}")["port"]) == ["10.50.0.4"]


def test_a_router_has_one_port_for_all_of_a_network_s_ipv6(neutron):
    network, first = neutron.lab("fd00:1::/64", gateway_ip="fd00:1::1")
    second = neutron.make("subnet", network_id=network["id"], cidr="fd00:2::/64", ip_version=6)
    router = neutron.make("router", name="r")["id"]
    joined = [
        neutron.ok("PUT", f"routers/{router}/add_router_interface", {"subnet_id": each["id"]})
        for each in (first, second)
    ]
    assert joined[0]["port_id"] == joined[1]["port_id"]
    neutron.ok("PUT", f"routers/{router}/remove_router_interface", {"subnet_id": first["id"]})
    (port,) = neutron.list(f"ports?device_id={router}")
    assert addresses(port) == ["fd00:2::"]


def test_subnets_for_a_kind_of_port_serve_that_kind_alone(neutron):
    network, _ = neutron.lab(service_types=["compute:nova"])
    assert neutron.cannot_make("port", network_id=network["id"])[:2] == (409, "IpAddressGenerationFailure")
    made = neutron.make("port", network_id=network["id"], device_owner="compute:nova")
    assert addresses(made) == ["10.50.0.4"]
