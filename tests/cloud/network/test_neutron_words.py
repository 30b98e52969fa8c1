"""Refusals with the statuses, types and words of a real Neutron (Zed), which were asked for each of these."""

import pytest

NOBODY = "00000000-0000-0000-0000-000000000000"


def test_what_is_sent_is_looked_at_attribute_by_attribute(neutron):
    bad = "HTTPBadRequest"
    for body, refusal in (
        ({"name": 5}, (400, bad, "Invalid input for name. Reason: '5' is not a valid string.")),
        ({"admin_state_up": "x"}, (400, "InvalidInput", "Invalid input for operation: 'x' cannot be converted to boolean.")),
        ({"id": "x"}, (400, bad, "Attribute 'id' not allowed in POST")),
        ({"mtu": 100000}, (400, "InvalidInput", "Invalid input for operation: Requested MTU is too big, maximum is 1500.")),
        ({"project_id": "x"}, (400, bad, "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin or advsvc privileges")),
        ({"shared": True}, (403, "PolicyNotAuthorized",
                            "(rule:create_network and rule:create_network:shared) is disallowed by policy")),
    ):  # fmt: skip
        assert neutron.cannot_make("network", **body) == refusal
    assert neutron.no("POST", "networks", {})[2] == "Unable to find 'network' in request body"
    assert neutron.no("POST", "networks", {"networks": []})[2] == "Resources required"


def test_a_subnet_that_cannot_be_is_refused(neutron):
    network, _ = neutron.lab()
    fine = {"network_id": network["id"], "ip_version": 4, "cidr": "10.51.0.0/24"}
    pool = {"start": "10.51.0.10", "end": "10.51.0.50"}
    for wrong, kind, status in (
        ({"cidr": "10.50.0.0/25"}, "InvalidInput", 400),
        ({"cidr": "10.51.0.0/33"}, "InvalidInput", 400),
        ({"ip_version": 6}, "InvalidInput", 400),
        ({"ip_version": 5}, "HTTPBadRequest", 400),
        ({"gateway_ip": "nope"}, "HTTPBadRequest", 400),
        ({"allocation_pools": [{"start": "10.51.0.50", "end": "10.51.0.10"}]}, "InvalidAllocationPool", 400),
        ({"allocation_pools": [{"start": "10.52.0.1", "end": "10.52.0.9"}]}, "OutOfBoundsAllocationPool", 400),
        ({"allocation_pools": [pool, {**pool, "start": "10.51.0.40"}]}, "OverlappingAllocationPools", 409),
        ({"allocation_pools": [pool], "gateway_ip": "10.51.0.20"}, "GatewayConflictWithAllocationPools", 409),
        ({"allocation_pools": [{"start": "10.51.0.50"}]}, "HTTPBadRequest", 400),
        ({"ipv6_ra_mode": "slaac"}, "InvalidInput", 400),
        ({"dns_nameservers": ["1.1.1.1", "1.1.1.1"]}, "HTTPBadRequest", 400),
        ({"host_routes": [{"destination": "x", "nexthop": "1.1.1.1"}]}, "HTTPBadRequest", 400),
        ({"host_routes": [{"destination": "10.0.0.0/8", "nexthop": "fd00::1"}]}, "InvalidInput", 400),
        ({"service_types": ["foo"]}, "InvalidSubnetServiceType", 400),
        ({"cidr": None}, "BadRequest", 400),
        ({"cidr": "224.0.0.0/24"}, "InvalidInput", 400),
        ({"network_id": "nope"}, "HTTPBadRequest", 400),
        ({"network_id": NOBODY}, "NetworkNotFound", 404),
    ):  # fmt: skip
        assert neutron.cannot_make("subnet", **{**fine, **wrong})[:2] == (status, kind), wrong


def test_a_subnet_changes_within_its_bounds(neutron):
    _, subnet = neutron.lab()
    in_pool = neutron.cannot_change("subnet", subnet["id"], gateway_ip="10.50.0.50")
    assert in_pool[:2] == (409, "GatewayConflictWithAllocationPools")
    fixed = neutron.cannot_change("subnet", subnet["id"], cidr="10.9.0.0/24")
    assert fixed[2] == "Cannot update read-only attribute cidr"
    smaller = [{"start": "10.50.0.10", "end": "10.50.0.20"}]
    changed = neutron.change("subnet", subnet["id"], allocation_pools=smaller, dns_nameservers=["1.1.1.1"])
    assert (changed["allocation_pools"], changed["dns_nameservers"]) == (smaller, ["1.1.1.1"])


def test_a_port_that_cannot_be_is_refused(neutron):
    network, subnet = neutron.lab()
    held = neutron.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.50.0.20"}])
    group = neutron.list("security-groups?name=default")[0]["id"]
    pair = {"ip_address": "10.0.0.1"}
    for wrong, kind, status in (
        ({"fixed_ips": [{"ip_address": "10.50.0.20"}]}, "IpAddressAlreadyAllocated", 409),
        ({"fixed_ips": [{"ip_address": "1.1.1.1"}]}, "InvalidIpForNetwork", 400),
        ({"fixed_ips": [{"ip_address": "10.50.0.255"}]}, "InvalidIpForNetwork", 400),
        ({"fixed_ips": [{"subnet_id": subnet["id"], "ip_address": "10.60.0.1"}]}, "InvalidIpForSubnet", 400),
        ({"fixed_ips": [{"subnet_id": NOBODY}]}, "SubnetNotFound", 404),
        ({"fixed_ips": [{}]}, "InvalidInput", 400),
        ({"fixed_ips": [{"subnet_id": subnet["id"]}] * 6}, "InvalidInput", 400),
        ({"mac_address": held["mac_address"]}, "MacAddressInUse", 409),
        ({"mac_address": "ff:ff:ff:ff:ff:ff"}, "HTTPBadRequest", 400),
        ({"port_security_enabled": False, "security_groups": [group]}, "PortSecurityAndIPRequiredForSecurityGroups", 400),
        ({"port_security_enabled": False, "allowed_address_pairs": [pair]}, "AddressPairAndPortSecurityRequired", 409),
        ({"allowed_address_pairs": [pair, pair]}, "DuplicateAddressPairInRequest", 400),
        ({"allowed_address_pairs": [pair] * 11}, "AllowedAddressPairExhausted", 400),
        ({"allowed_address_pairs": [{"mac_address": "fa:16:3e:00:00:01"}]}, "AllowedAddressPairsMissingIP", 400),
        ({"security_groups": [NOBODY]}, "SecurityGroupNotFound", 404),
        ({"extra_dhcp_opts": [{"opt_value": "b"}]}, "InvalidInput", 400),
        ({"binding:host_id": "x"}, "PolicyNotAuthorized", 403),
        ({"binding:vnic_type": "nope"}, "HTTPBadRequest", 400),
        ({"network_id": neutron.public()}, "HTTPForbidden", 403),
    ):  # fmt: skip
        assert neutron.cannot_make("port", **{"network_id": network["id"], **wrong})[:2] == (status, kind), (
            wrong
        )


def test_a_port_keeps_what_it_was_given_and_takes_changes(neutron):
    network, _ = neutron.lab()
    given = {
        "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}],
        "allowed_address_pairs": [{"ip_address": "10.50.0.0/25", "mac_address": "fa:16:3e:00:00:07"}],
    }
    port = neutron.make("port", network_id=network["id"], **given)
    assert {name: port[name] for name in given} == given
    with_groups = neutron.cannot_change("port", port["id"], port_security_enabled=False)
    assert with_groups[:2] == (409, "PortSecurityPortHasSecurityGroup")
    changed = neutron.change(
        "port", port["id"], port_security_enabled=False, security_groups=[], allowed_address_pairs=[],
        fixed_ips=[{"ip_address": "10.50.0.77"}, {"ip_address": "10.50.0.78"}],
    )  # fmt: skip
    assert [fixed["ip_address"] for fixed in changed["fixed_ips"]] == ["10.50.0.77", "10.50.0.78"]
    assert changed["revision_number"] == port["revision_number"] + 1
    assert neutron.cannot_change("port", port["id"], mac_address="fa:16:3e:00:00:09")[0] == 403
    assert neutron.change("port", port["id"], security_groups=None)["security_groups"] == []


@pytest.mark.parametrize(
    ("rule", "kind", "message"),
    [
        ({"protocol": "tcp", "port_range_min": 80, "port_range_max": 22}, "SecurityGroupInvalidPortRange",
         "For TCP/UDP protocols, port_range_min must be <= port_range_max"),
        ({"protocol": "tcp", "port_range_min": 0, "port_range_max": 80}, "SecurityGroupInvalidPortValue",
         "Invalid value for port 0"),
        ({"port_range_min": 80, "port_range_max": 80}, "SecurityGroupProtocolRequiredWithPorts",
         "Must also specify protocol if port range is given."),
        ({"protocol": "icmp", "port_range_min": 300}, "SecurityGroupInvalidIcmpValue",
         "Invalid value for ICMP type (port_range_min) 300. It must be 0 to 255."),
        ({"protocol": "icmp", "port_range_max": 3}, "SecurityGroupMissingIcmpType",
         "ICMP code (port-range-max) 3 is provided but ICMP type (port-range-min) is missing."),
        ({"protocol": "ospf", "port_range_min": 8, "port_range_max": 9}, "SecurityGroupInvalidProtocolForPort",
         "Ports cannot be specified for protocol 89. Ports are only supported for DCCP, SCTP, TCP, UDP, UDPLITE."),
        ({"protocol": "icmpv6"}, "SecurityGroupEthertypeConflictWithProtocol",
         "Invalid ethertype IPv4 for protocol icmpv6."),
        ({"ethertype": "ip"}, "SecurityGroupRuleInvalidEtherType",
         "Security group rule for ethertype 'ip' not supported. Allowed values are ['IPv4', 'IPv6']."),
        ({"remote_ip_prefix": "x"}, "InvalidCIDR", "Invalid CIDR x given as IP prefix."),
        ({"remote_ip_prefix": "fd00::/64"}, "SecurityGroupRuleParameterConflict",
         "Conflicting value ethertype IPv4 for CIDR fd00::/64"),
        ({"direction": "foo"}, "HTTPBadRequest", "Invalid input for direction. Reason: foo is not in valid_values."),
    ],
)  # fmt: skip
def test_a_rule_is_refused_in_neutron_s_words(neutron, rule, kind, message):
    group = neutron.list("security-groups?name=default")[0]["id"]
    fine = {"security_group_id": group, "direction": "ingress"}
    assert neutron.cannot_make("security_group_rule", **{**fine, **rule}) == (400, kind, message)


def test_a_rule_is_kept_under_one_name(neutron):
    group = neutron.make("security_group", name="g")["id"]
    fine = {"security_group_id": group, "direction": "ingress"}
    made = neutron.make("security_group_rule", **fine, ethertype="IPv6", protocol="icmp")
    assert made["protocol"] == "ipv6-icmp"
    again = neutron.cannot_make("security_group_rule", **fine, ethertype="ipv6", protocol="icmpv6")
    assert again == (
        409,
        "SecurityGroupRuleExists",
        f"Security group rule already exists. Rule id is {made['id']}.",
    )
    ranged = neutron.make("security_group_rule", **fine, remote_ip_prefix="10.0.0.5/24")
    assert (ranged["remote_ip_prefix"], ranged["normalized_cidr"]) == ("10.0.0.5/24", "10.0.0.0/24")
    alike = {**fine, "protocol": "gre"}
    two = neutron.no("POST", "security-group-rules", {"security_group_rules": [alike, alike]})
    assert two[:2] == (409, "DuplicateSecurityGroupRuleInPost")


def test_the_default_group_is_one_and_stays(neutron):
    default = neutron.list("security-groups?name=default")[0]["id"]
    assert neutron.cannot_make("security_group", name="Default")[:2] == (
        409,
        "SecurityGroupDefaultAlreadyExists",
    )
    assert neutron.cannot_change("security_group", default, name="x")[1] == "SecurityGroupCannotUpdateDefault"
    assert neutron.no("DELETE", f"security-groups/{default}")[:2] == (409, "SecurityGroupCannotRemoveDefault")


def test_a_router_joins_what_fits_and_keeps_what_is_used(neutron):
    network, subnet = neutron.lab()
    _, overlapping = neutron.lab("10.50.0.0/25")
    _, closed = neutron.lab("10.60.0.0/24", gateway_ip=None)
    public = neutron.public()
    router = neutron.make("router", external_gateway_info={"network_id": public})["id"]
    add, remove = f"routers/{router}/add_router_interface", f"routers/{router}/remove_router_interface"
    neutron.ok("PUT", add, {"subnet_id": subnet["id"]})
    for body, refusal in (
        ({}, (400, "BadRequest")),
        ({"subnet_id": subnet["id"], "port_id": NOBODY}, (400, "BadRequest")),
        ({"subnet_id": "nope"}, (400, "BadRequest")),
        ({"subnet_id": subnet["id"]}, (400, "BadRequest")),
        ({"subnet_id": overlapping["id"]}, (400, "BadRequest")),
        ({"subnet_id": closed["id"]}, (400, "BadRequest")),
        ({"subnet_id": NOBODY}, (404, "SubnetNotFound")),
        ({"port_id": NOBODY}, (404, "PortNotFound")),
    ):
        assert neutron.no("PUT", add, body)[:2] == refusal, body
    port = neutron.make("port", network_id=network["id"])
    floating = neutron.make("floatingip", floating_network_id=public, port_id=port["id"])
    assert neutron.no("PUT", remove, {"subnet_id": subnet["id"]})[1] == "RouterInterfaceInUseByFloatingIP"
    assert neutron.cannot_change("router", router, external_gateway_info=None)[1] == (
        "RouterExternalGatewayInUseByFloatingIp"
    )
    neutron.delete("floatingip", floating["id"])
    routes = [{"destination": "10.9.0.0/24", "nexthop": "10.50.0.9"}]
    neutron.change("router", router, routes=routes)
    assert neutron.no("PUT", remove, {"subnet_id": subnet["id"]})[1] == "RouterInterfaceInUseByRoute"
    for hop in ("9.9.9.9", "10.50.0.1"):
        wrong = [{"destination": "10.9.0.0/24", "nexthop": hop}]
        assert neutron.cannot_change("router", router, routes=wrong)[1] == "InvalidRoutes"
    more = {"router": {"routes": [{"destination": "10.8.0.0/24", "nexthop": "10.50.0.8"}]}}
    assert len(neutron.ok("PUT", f"routers/{router}/add_extraroutes", more)["router"]["routes"]) == 2
    left = neutron.ok("PUT", f"routers/{router}/remove_extraroutes", {"router": {"routes": routes}})
    assert left["router"]["routes"] == more["router"]["routes"]
    assert neutron.no("DELETE", f"routers/{router}")[:2] == (409, "RouterInUse")
    assert neutron.no("PUT", remove, {"subnet_id": closed["id"]})[1] == "RouterInterfaceNotFoundForSubnet"
    without_snat = {"network_id": public, "enable_snat": False}
    assert neutron.cannot_change("router", router, external_gateway_info=without_snat)[0] == 403


def test_a_floating_ip_goes_to_one_address_of_a_port(neutron, operator):
    network, subnet = neutron.lab()
    public = neutron.public()
    router = neutron.make("router", external_gateway_info={"network_id": public})["id"]
    neutron.ok("PUT", f"routers/{router}/add_router_interface", {"subnet_id": subnet["id"]})
    port = neutron.make("port", network_id=network["id"], fixed_ips=[{"subnet_id": subnet["id"]}] * 2)
    one, two = (fixed["ip_address"] for fixed in port["fixed_ips"])
    fine = {"floating_network_id": public, "port_id": port["id"]}
    assert "multiple fixed IPv4 addresses" in neutron.cannot_make("floatingip", **fine)[2]
    for address in (one, two):
        made = neutron.make("floatingip", **fine, fixed_ip_address=address)
        assert (made["fixed_ip_address"], made["port_details"]["network_id"]) == (address, network["id"])
    assert (
        neutron.cannot_make("floatingip", **fine, fixed_ip_address=one)[1]
        == "FloatingIPPortAlreadyAssociated"
    )
    for wrong, refusal in (
        ({"floating_network_id": network["id"]}, (400, "BadRequest")),
        ({"floating_network_id": NOBODY}, (404, "NetworkNotFound")),
        ({"floating_network_id": public, "fixed_ip_address": one}, (400, "BadRequest")),
        ({"floating_network_id": public, "port_id": NOBODY}, (404, "PortNotFound")),
        ({"floating_network_id": public, "floating_ip_address": "127.16.0.99"}, (403, "PolicyNotAuthorized")),
        ({**fine, "fixed_ip_address": "1.1.1.1"}, (400, "BadRequest")),
    ):
        assert neutron.cannot_make("floatingip", **wrong)[:2] == refusal, wrong
    chosen = operator.make("floatingip", floating_network_id=public, floating_ip_address="127.16.0.99")
    assert chosen["floating_ip_address"] == "127.16.0.99"


def test_a_change_may_be_bound_to_a_revision(neutron):
    network, _ = neutron.lab()
    body, path = {"network": {"name": "x"}}, f"networks/{network['id']}"
    late = neutron.no("PUT", path, body, **{"If-Match": "revision_number=99"})
    assert late[:2] == (412, "RevisionNumberConstraintFailed")
    neutron.ok("PUT", path, body, **{"If-Match": f"revision_number={network['revision_number']}"})
