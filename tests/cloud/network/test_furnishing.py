"""What a project finds that nobody made by hand, and what becomes of it."""

import pytest
from neutron import Neutron

from armillary.accounts.model import Role


@pytest.fixture
def made_by_keystone(stage, member_of):
    """Somebody in a project that was made through the Identity API."""
    known = stage.accounts.create_project("bare", "", member_of("m51").project.allocation, furnished=False)
    return Neutron(member_of(known.name, "carol", role=Role.MEMBER))


def names(found):
    return [item["name"] for item in found]


def test_a_project_of_the_identity_api_finds_what_neutron_gives_and_nothing_else(made_by_keystone):
    assert names(made_by_keystone.list("networks")) == ["public"]
    (group,) = made_by_keystone.list("security-groups")
    assert group["description"] == "Default security group"
    opened = [r for r in group["security_group_rules"] if r["direction"] == "ingress"]
    assert {r["remote_group_id"] for r in opened} == {group["id"]}


def test_a_project_that_asks_for_a_network_gets_one_with_a_way_out_once(made_by_keystone):
    path = f"auto-allocated-topology/{made_by_keystone.user.project.id}"
    dry = made_by_keystone.ok("GET", f"{path}?fields=dry-run")
    assert dry["auto_allocated_topology"]["id"] == "dry-run=pass"
    assert names(made_by_keystone.list("networks")) == ["public"]
    got = made_by_keystone.ok("GET", path)["auto_allocated_topology"]["id"]
    again = made_by_keystone.ok("GET", "auto-allocated-topology/null")["auto_allocated_topology"]["id"]
    assert got == again
    (router,) = made_by_keystone.list("routers")
    assert router["external_gateway_info"]["network_id"] == made_by_keystone.public()
    made_by_keystone.ok("DELETE", path)
    assert names(made_by_keystone.list("networks")) == ["public"]
    assert made_by_keystone.list("routers") == []


def test_somebody_else_s_network_is_not_got(neutron, others):
    answer = others.no("GET", f"auto-allocated-topology/{neutron.user.project.id}")
    assert answer[:2] == (403, "PolicyNotAuthorized")


def test_what_a_project_was_given_goes_with_it(stage, neutron, operator):
    project = neutron.user.project.id
    assert "m51-net" in names(neutron.list("networks"))
    stage.cloud.reconcile()
    assert "m51-net" in names(operator.list("networks")), "the project is there"
    stage.accounts.delete_project(project)
    stage.cloud.reconcile()
    assert names(operator.list(f"networks?project_id={project}")) == []
    assert operator.list(f"security-groups?project_id={project}") == []
    assert operator.list(f"routers?project_id={project}") == []


def test_a_project_s_network_stays_while_somebody_is_on_it(stage, neutron, operator):
    network = neutron.list("networks?name=m51-net")[0]["id"]
    neutron.make("port", network_id=network)
    stage.accounts.delete_project(neutron.user.project.id)
    stage.cloud.reconcile()
    assert names(operator.list(f"networks?id={network}")) == ["m51-net"]


def test_quotas_bind_and_tell_their_use(neutron, operator):
    project = neutron.user.project.id
    neutron.list("networks")
    assert (
        operator.no("PUT", f"quotas/{project}", {"quota": {"foo": 1}})[2] == "Unrecognized attribute(s) 'foo'"
    )
    below = operator.no("PUT", f"quotas/{project}", {"quota": {"check_limit": True, "network": 0}})
    assert below[2] == "Quota limit 0 for network must be greater than or equal to already used 1"
    assert operator.no("PUT", f"quotas/{project}", {"quota": {"network": -2}})[0] == 400
    operator.ok("PUT", f"quotas/{project}", {"quota": {"network": 2}})
    neutron.make("network", name="second")
    third = neutron.cannot_make("network", name="third")
    assert third == (409, "OverQuota", "Quota exceeded for resources: ['network'].")
    both = {"networks": [{"name": "a"}, {"name": "b"}]}
    assert neutron.no("POST", "networks", both)[1] == "OverQuota"
    assert neutron.ok("GET", f"quotas/{project}/details.json")["quota"]["network"] == {
        "limit": 2, "used": 2, "reserved": 0,
    }  # fmt: skip
    assert [q["project_id"] for q in operator.list("quotas")] == [project]
    operator.ok("DELETE", f"quotas/{project}")
    assert operator.no("DELETE", f"quotas/{project}")[:2] == (404, "TenantQuotaNotFound")
    assert neutron.ok("GET", f"quotas/{project}")["quota"]["network"] == 100


def test_a_network_says_how_many_addresses_it_has_left(neutron, operator):
    network, _ = neutron.lab()
    neutron.make("port", network_id=network["id"])
    found = operator.ok("GET", f"network-ip-availabilities/{network['id']}")["network_ip_availability"]
    assert (found["used_ips"], found["total_ips"]) == (1, 253)
    assert neutron.list("network-ip-availabilities") == []


def test_every_alias_is_told_once_and_each_can_be_asked_for(neutron):
    aliases = [each["alias"] for each in neutron.list("extensions")]
    assert len(aliases) == len(set(aliases))
    assert neutron.ok("GET", "extensions/standard-attr-tag")["extension"]["alias"] == "standard-attr-tag"
    assert neutron.no("GET", "extensions/nope")[0] == 404
    zones = neutron.list("availability_zones?resource=network")
    assert [(zone["name"], zone["state"]) for zone in zones] == [("nova", "available")]
    assert neutron.list("agents") == []
