"""A project's network, its addresses, and what may pass."""

import pytest


def first(answer, **wanted):
    (collection,) = answer.values()
    return next(item for item in collection if all(item[k] == v for k, v in wanted.items()))


def refusal(answer):
    return answer.status_code, answer.json()["NeutronError"]["type"]


@pytest.fixture
def public(ada):
    return first(ada.ok("GET", "/network/v2.0/networks?router:external=True"))


@pytest.fixture
def own_net(ada):
    return first(ada.ok("GET", "/network/v2.0/networks?name=m51-net"))


def test_a_project_finds_a_network_with_a_way_out(ada, own_net, public):
    subnet = ada.ok("GET", f"/network/v2.0/subnets/{own_net['subnets'][0]}")["subnet"]
    router = first(ada.ok("GET", "/network/v2.0/routers"))
    assert (subnet["cidr"], subnet["gateway_ip"]) == ("10.0.0.0/24", "10.0.0.1")
    assert router["external_gateway_info"]["network_id"] == public["id"]


def test_the_default_group_lets_ssh_in_and_says_so(ada):
    group = first(ada.ok("GET", "/network/v2.0/security-groups"))
    opened = [
        r for r in group["security_group_rules"] if r["direction"] == "ingress" and r["protocol"] == "tcp"
    ]
    assert group["name"] == "default"
    assert "ssh" in group["description"]
    assert [(r["port_range_min"], r["port_range_max"]) for r in opened] == [(22, 22)]


def test_a_network_that_its_project_deletes_does_not_come_back(stage, ada, own_net):
    router = first(ada.ok("GET", "/network/v2.0/routers"))
    subnet = {"subnet_id": own_net["subnets"][0]}
    ada.ok("PUT", f"/network/v2.0/routers/{router['id']}/remove_router_interface", subnet)
    ada.ok("DELETE", f"/network/v2.0/networks/{own_net['id']}")
    stage.restart()
    assert [n["name"] for n in ada.ok("GET", "/network/v2.0/networks")["networks"]] == ["public"]


def test_a_floating_ip_answers_for_a_server(stage, ada, public):
    server_id = ada.up()
    floating = ada.ok(
        "POST", "/network/v2.0/floatingips", {"floatingip": {"floating_network_id": public["id"]}}
    )
    floating = floating["floatingip"]
    assert (floating["status"], floating["port_id"]) == ("DOWN", None)
    port = first(ada.ok("GET", f"/network/v2.0/ports?device_id={server_id}"))
    bind = {"floatingip": {"port_id": port["id"]}}
    bound = ada.ok("PUT", f"/network/v2.0/floatingips/{floating['id']}", bind)["floatingip"]
    assert (bound["status"], bound["fixed_ip_address"]) == ("ACTIVE", "10.0.0.4")
    stage.settle()
    assert stage.cloud.addresses(server_id) == {22: (floating["floating_ip_address"], 22)}
    assert floating["floating_ip_address"].startswith("127.16.0.")
    shown = ada.server(server_id)["addresses"]["m51-net"]
    assert [(a["addr"], a["OS-EXT-IPS:type"]) for a in shown] == [
        ("10.0.0.4", "fixed"),
        (floating["floating_ip_address"], "floating"),
    ]


def test_a_floating_ip_outlives_its_server(stage, ada, public):
    server_id = ada.up()
    port = first(ada.ok("GET", f"/network/v2.0/ports?device_id={server_id}"))
    wish = {"floatingip": {"floating_network_id": public["id"], "port_id": port["id"]}}
    floating = ada.ok("POST", "/network/v2.0/floatingips", wish)["floatingip"]
    ada.ok("DELETE", f"/compute/v2.1/servers/{server_id}")
    stage.settle()
    left = ada.ok("GET", f"/network/v2.0/floatingips/{floating['id']}")["floatingip"]
    assert (left["port_id"], left["status"]) == (None, "DOWN")


def test_rules_open_and_close_what_they_name(stage, ada):
    group = first(ada.ok("GET", "/network/v2.0/security-groups"), name="default")
    server_id = ada.up()
    public = first(ada.ok("GET", "/network/v2.0/networks?router:external=True"))
    port = first(ada.ok("GET", f"/network/v2.0/ports?device_id={server_id}"))
    wish = {"floatingip": {"floating_network_id": public["id"], "port_id": port["id"]}}
    ada.ok("POST", "/network/v2.0/floatingips", wish)
    rule = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp"}
    rule |= {"port_range_min": 80, "port_range_max": 80}
    made = ada.ok("POST", "/network/v2.0/security-group-rules", {"security_group_rule": rule})
    stage.settle()
    assert set(stage.cloud.addresses(server_id)) == {22, 80}
    ada.ok("DELETE", f"/network/v2.0/security-group-rules/{made['security_group_rule']['id']}")
    stage.settle()
    assert set(stage.cloud.addresses(server_id)) == {22}


def test_members_of_a_group_reach_each_other_and_nobody_else_does(stage, ada, bob):
    one, two = ada.up("one"), ada.up("two")
    stage.settle()
    first_ip, second_ip = (ada.server(s)["addresses"]["m51-net"][0]["addr"] for s in (one, two))
    assert stage.fabric.passes(first_ip, second_ip, protocol="udp", number=5000)
    none = ada.ok("POST", "/network/v2.0/security-groups", {"security_group": {"name": "closed"}})
    assert ada.act(two, "addSecurityGroup", {"name": none["security_group"]["name"]}).status_code == 202
    assert ada.act(two, "removeSecurityGroup", {"name": "default"}).status_code == 202
    stage.settle()
    assert not stage.fabric.passes(first_ip, second_ip, protocol="udp", number=5000)
    assert ada.server(two)["security_groups"] == [{"name": "closed"}]


def test_guests_reach_only_the_host_ports_of_the_settings(stage, ada):
    ada.up()
    stage.settle()
    assert stage.fabric.plan.host_ports == {8443}


@pytest.mark.parametrize(
    "rule",
    [
        {"protocol": "tcp", "port_range_min": 80, "port_range_max": 22},
        {"protocol": "tcp", "port_range_min": 0, "port_range_max": 70000},
        {"protocol": "nope"},
        {"port_range_min": 80, "port_range_max": 80},
        {"protocol": "icmp", "port_range_min": 300},
        {"remote_ip_prefix": "10.0.0.0/33"},
        {"remote_ip_prefix": "fd00::/8"},
    ],
)
def test_a_rule_that_means_nothing_is_refused(ada, rule):
    group = first(ada.ok("GET", "/network/v2.0/security-groups"))
    body = {"security_group_rule": {"security_group_id": group["id"], "direction": "ingress", **rule}}
    answer = ada.call("POST", "/network/v2.0/security-group-rules", body)
    assert answer.status_code == 400, answer.text


def test_the_same_rule_twice_is_a_conflict(ada):
    group = first(ada.ok("GET", "/network/v2.0/security-groups"))
    rule = {"security_group_id": group["id"], "direction": "ingress", "protocol": "udp"}
    ada.ok("POST", "/network/v2.0/security-group-rules", {"security_group_rule": rule})
    answer = ada.call("POST", "/network/v2.0/security-group-rules", {"security_group_rule": rule})
    assert refusal(answer) == (409, "SecurityGroupRuleExists")


def test_somebody_else_s_network_is_not_there(ada, bob, own_net):
    bob.ok("GET", "/network/v2.0/networks")
    answer = bob.call("GET", f"/network/v2.0/networks/{own_net['id']}")
    assert refusal(answer) == (404, "NetworkNotFound")
    assert bob.call("DELETE", f"/network/v2.0/networks/{own_net['id']}").status_code == 404
    wish = {
        "name": "x",
        "imageRef": bob.image(),
        "flavorRef": "c1-1gb-5",
        "networks": [{"uuid": own_net["id"]}],
    }
    assert bob.call("POST", "/compute/v2.1/servers", {"server": wish}).status_code == 400


def test_a_network_in_use_stays(ada, own_net):
    assert refusal(ada.call("DELETE", f"/network/v2.0/networks/{own_net['id']}")) == (409, "NetworkInUse")
    answer = ada.call("DELETE", f"/network/v2.0/subnets/{own_net['subnets'][0]}")
    assert refusal(answer) == (409, "SubnetInUse")


def test_a_network_of_one_s_own_can_be_made_joined_and_removed(stage, ada, public):
    net = ada.ok("POST", "/network/v2.0/networks", {"network": {"name": "lab"}})["network"]
    wish = {"network_id": net["id"], "cidr": "192.168.7.0/24", "ip_version": 4}
    subnet = ada.ok("POST", "/network/v2.0/subnets", {"subnet": wish})["subnet"]
    assert subnet["gateway_ip"] == "192.168.7.1"
    assert subnet["allocation_pools"] == [{"start": "192.168.7.2", "end": "192.168.7.254"}]
    router = ada.ok("POST", "/network/v2.0/routers", {"router": {"name": "r"}})["router"]
    url = f"/network/v2.0/routers/{router['id']}"
    ada.ok("PUT", f"{url}/add_router_interface", {"subnet_id": subnet["id"]})
    assert refusal(ada.call("DELETE", url)) == (409, "RouterInUse")
    server_id = ada.up(networks=[{"uuid": net["id"]}])
    assert ada.server(server_id)["addresses"]["lab"][0]["addr"] == "192.168.7.4"
    floating = {"floating_network_id": public["id"], "port_id": stage.fabric.plan.ports[0].port.id}
    answer = ada.call("POST", "/network/v2.0/floatingips", {"floatingip": floating})
    assert refusal(answer) == (404, "ExternalGatewayForFloatingIpNotFound")
    assert ada.ok("GET", "/network/v2.0/floatingips") == {"floatingips": []}
    ada.ok("DELETE", f"/compute/v2.1/servers/{server_id}")
    stage.settle()
    ada.ok("PUT", f"{url}/remove_router_interface", {"subnet_id": subnet["id"]})
    ada.ok("DELETE", url)
    ada.ok("DELETE", f"/network/v2.0/networks/{net['id']}")


def test_with_several_networks_one_has_to_be_named(ada):
    net = ada.ok("POST", "/network/v2.0/networks", {"network": {"name": "lab"}})["network"]
    ada.ok(
        "POST",
        "/network/v2.0/subnets",
        {"subnet": {"network_id": net["id"], "cidr": "10.9.0.0/24", "ip_version": 4}},
    )
    wish = {"name": "x", "imageRef": ada.image(), "flavorRef": "c1-1gb-5", "networks": "auto"}
    answer = ada.call("POST", "/compute/v2.1/servers", {"server": wish})
    assert answer.status_code == 409
    assert "Multiple possible networks" in answer.json()["conflictingRequest"]["message"]


def test_network_quotas_are_neutron_s_409(ada, root):
    root.ok("PUT", f"/network/v2.0/quotas/{ada.project.id}", {"quota": {"floatingip": 0}})
    public = first(ada.ok("GET", "/network/v2.0/networks?router:external=True"))
    answer = ada.call(
        "POST", "/network/v2.0/floatingips", {"floatingip": {"floating_network_id": public["id"]}}
    )
    assert refusal(answer) == (409, "OverQuota")
    assert (
        ada.ok("GET", f"/network/v2.0/quotas/{ada.project.id}/details")["quota"]["floatingip"]["limit"] == 0
    )


def test_lists_are_filtered_pruned_and_paged(ada):
    rules = ada.ok("GET", "/network/v2.0/security-group-rules?direction=ingress&fields=id&fields=protocol")
    assert all(set(rule) == {"id", "protocol"} for rule in rules["security_group_rules"])
    page = ada.ok("GET", "/network/v2.0/security-group-rules?limit=1")
    assert len(page["security_group_rules"]) == 1
    assert [link["rel"] for link in page["security_group_rules_links"]] == ["next", "previous"]


def test_an_unknown_attribute_is_refused_in_neutron_s_words(ada):
    answer = ada.call("POST", "/network/v2.0/networks", {"network": {"bogus": 1}})
    assert answer.status_code == 400
    assert answer.json()["NeutronError"]["message"] == "Unrecognized attribute(s) 'bogus'"


def test_where_ssh_answers_elsewhere_the_floating_ip_says_so(stage, ada, public):
    class Unprivileged(type(stage.fabric)):
        def addresses(self, server_id):
            found = super().addresses(server_id)
            return {guest: (host, number + 10000) for guest, (host, number) in found.items()}

    stage.fabric = Unprivileged()
    stage.restart()
    ada.up()
    port = first(ada.ok("GET", "/network/v2.0/ports?device_owner=compute:nova"))
    wish = {"floatingip": {"floating_network_id": public["id"], "port_id": port["id"]}}
    assert (
        ada.ok("POST", "/network/v2.0/floatingips", wish)["floatingip"]["description"] == "(ssh port 10022)"
    )


def test_a_body_larger_than_any_request_is_refused(ada):
    answer = ada.call("POST", "/network/v2.0/networks", {"network": {"name": "x" * 2**21}})
    assert answer.status_code == 413
