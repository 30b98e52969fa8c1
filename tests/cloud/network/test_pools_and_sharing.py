"""Ranges that subnets are cut from, and what projects let each other use."""

import pytest
from sqlalchemy import delete, update

from armillary.cloud.network.store import rbac_policies
from armillary.cloud.store import networks

NOBODY = "00000000-0000-0000-0000-000000000000"


def pool(neutron, *prefixes, **more):
    return neutron.make("subnetpool", name="p", prefixes=list(prefixes) or ["10.128.0.0/16"], **more)


def test_subnets_are_cut_from_a_pool_and_do_not_overlap(neutron):
    made = pool(neutron, "10.128.0.0/16", "10.129.0.0/16", default_prefixlen=26)
    assert (made["prefixes"], made["min_prefixlen"], made["max_prefixlen"]) == (["10.128.0.0/15"], 8, 32)
    network = neutron.make("network", name="n")["id"]
    fine = {"network_id": network, "ip_version": 4, "subnetpool_id": made["id"]}
    cut = [
        neutron.make("subnet", **fine, **more)["cidr"]
        for more in ({}, {"prefixlen": 28}, {"cidr": "10.128.9.0/24"})
    ]
    assert cut == ["10.128.0.0/26", "10.128.0.64/28", "10.128.9.0/24"]
    assert neutron.make("subnet", **fine, gateway_ip="10.128.50.1")["cidr"] == "10.128.50.0/26"
    for wrong, refusal in (
        ({"cidr": "10.1.9.0/24"}, (400, "SubnetAllocationError")),
        ({"prefixlen": 4}, (400, "MinPrefixSubnetAllocationError")),
        ({"prefixlen": 30, "cidr": "10.128.7.0/24"}, (400, "BadRequest")),
        ({"ip_version": 6}, (400, "BadRequest")),
        ({"subnetpool_id": NOBODY}, (404, "SubnetPoolNotFound")),
        ({"subnetpool_id": None, "cidr": "10.200.0.0/24"}, (400, "NetworkSubnetPoolAffinityError")),
    ):
        assert neutron.cannot_make("subnet", **{**fine, **wrong})[:2] == refusal, wrong
    assert neutron.no("DELETE", f"subnetpools/{made['id']}")[:2] == (400, "SubnetPoolDeleteError")


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"prefixes": []}, "EmptySubnetPoolPrefixList"),
        ({"prefixes": ["10.1.0.0/16", "fd00::/64"]}, "PrefixVersionMismatch"),
        ({"prefixes": ["x"]}, "HTTPBadRequest"),
        ({"min_prefixlen": 30, "max_prefixlen": 20}, "IllegalSubnetPoolPrefixBounds"),
        ({"default_prefixlen": 33}, "IllegalSubnetPoolPrefixBounds"),
        ({"default_prefixlen": 4}, "IllegalSubnetPoolPrefixBounds"),
    ],
)
def test_a_pool_that_cannot_be_is_refused(neutron, wrong, kind):
    fine = {"name": "p", "prefixes": ["10.1.0.0/16"]}
    assert neutron.cannot_make("subnetpool", **{**fine, **wrong})[:2] == (400, kind)


def test_a_pool_grows_and_shrinks_by_what_nobody_uses(neutron):
    made = pool(neutron, default_prefixlen=24)["id"]
    network = neutron.make("network", name="n")["id"]
    neutron.make("subnet", network_id=network, ip_version=4, subnetpool_id=made)
    assert (
        neutron.cannot_change("subnetpool", made, prefixes=["10.128.0.0/17"])[1]
        == "IllegalSubnetPoolPrefixUpdate"
    )
    grown = neutron.ok("PUT", f"subnetpools/{made}/add_prefixes", {"prefixes": ["10.131.0.0/16"]})
    assert grown == {"prefixes": ["10.128.0.0/16", "10.131.0.0/16"]}
    shrunk = neutron.ok("PUT", f"subnetpools/{made}/remove_prefixes", {"prefixes": ["10.131.0.0/16"]})
    assert shrunk == {"prefixes": ["10.128.0.0/16"]}
    used = neutron.no("PUT", f"subnetpools/{made}/remove_prefixes", {"prefixes": ["10.128.0.0/16"]})
    assert used[:2] == (409, "PrefixInUse")


def test_a_project_takes_no_more_of_a_pool_than_its_share(neutron):
    made = pool(neutron, default_prefixlen=24, default_quota=256)["id"]
    fine = {"ip_version": 4, "subnetpool_id": made}
    neutron.make("subnet", network_id=neutron.make("network", name="a")["id"], **fine)
    over = neutron.cannot_make("subnet", network_id=neutron.make("network", name="b")["id"], **fine)
    assert over == (409, "SubnetPoolQuotaExceeded", "Per-tenant subnet pool prefix quota exceeded.")


def test_no_range_is_twice_in_an_address_scope(neutron):
    scope = neutron.make("address_scope", name="s", ip_version=4)["id"]
    made = pool(neutron, address_scope_id=scope, default_prefixlen=24)["id"]
    fine = {"name": "x", "address_scope_id": scope}
    overlap = neutron.cannot_make("subnetpool", **fine, prefixes=["10.128.0.0/24"])
    assert overlap[:2] == (409, "AddressScopePrefixConflict")
    of_ipv6 = neutron.cannot_make("subnetpool", **fine, prefixes=["fd00::/48"])
    assert of_ipv6[1] == "IllegalSubnetPoolIpVersionAssociationToAddressScope"
    network = neutron.make("network", name="n")["id"]
    neutron.make("subnet", network_id=network, ip_version=4, subnetpool_id=made)
    assert neutron.ok("GET", f"networks/{network}")["network"]["ipv4_address_scope"] == scope
    assert neutron.no("DELETE", f"address-scopes/{scope}")[:2] == (409, "AddressScopeInUse")


def share(neutron, kind, identifier, target, action="access_as_shared"):
    return neutron.make(
        "rbac_policy", object_type=kind, object_id=identifier, action=action, target_tenant=target
    )


def test_a_network_is_shared_with_one_project_until_it_is_used_no_more(neutron, others):
    network, subnet = neutron.lab()
    identifier, target = network["id"], others.user.project.id
    assert others.no("GET", f"networks/{identifier}")[0] == 404
    policy = share(neutron, "network", identifier, target)
    seen = others.ok("GET", f"networks/{identifier}")["network"]
    assert (seen["shared"], neutron.ok("GET", f"networks/{identifier}")["network"]["shared"]) == (True, False)
    assert others.ok("GET", f"subnets/{subnet['id']}")["subnet"]["cidr"] == "10.50.0.0/24"
    port = others.make("port", network_id=identifier)
    chosen = others.cannot_make("port", network_id=identifier, fixed_ips=[{"ip_address": "10.50.0.50"}])
    assert chosen[:2] == (403, "PolicyNotAuthorized")
    assert others.cannot_change("network", identifier, name="x")[:2] == (403, "PolicyNotAuthorized")
    assert neutron.no("DELETE", f"rbac-policies/{policy['id']}")[:2] == (409, "RbacPolicyInUse")
    others.delete("port", port["id"])
    neutron.delete("rbac_policy", policy["id"])
    assert others.no("GET", f"networks/{identifier}")[0] == 404


def test_groups_pools_and_scopes_are_shared_too(neutron, others):
    target = others.user.project.id
    group = neutron.make("security_group", name="shared")["id"]
    made = pool(neutron)["id"]
    scope = neutron.make("address_scope", name="s", ip_version=4)["id"]
    for kind, path, identifier in (
        ("security_group", "security-groups", group), ("subnetpool", "subnetpools", made),
        ("address_scope", "address-scopes", scope),
    ):  # fmt: skip
        assert others.no("GET", f"{path}/{identifier}")[0] == 404
        share(neutron, kind, identifier, target)
        assert others.ok("GET", f"{path}/{identifier}")
    network, _ = others.lab()
    assert others.make("port", network_id=network["id"], security_groups=[group])["security_groups"] == [
        group
    ]


def test_sharing_that_means_nothing_is_refused(neutron, operator):
    network, _ = neutron.lab()
    fine = {
        "object_type": "network",
        "object_id": network["id"],
        "action": "access_as_shared",
        "target_tenant": "x",
    }
    neutron.make("rbac_policy", **fine)
    for wrong, refusal in (
        ({}, (409, "DuplicateRbacPolicy")),
        ({"target_tenant": "*"}, (403, "PolicyNotAuthorized")),
        ({"action": "foo"}, (400, "InvalidActionForType")),
        ({"object_type": "foo"}, (400, "InvalidInput")),
        ({"object_id": NOBODY}, (400, "InvalidInput")),
    ):
        assert neutron.cannot_make("rbac_policy", **{**fine, **wrong})[:2] == refusal, wrong


def test_what_everybody_shares_is_a_policy_and_an_attribute_at_once(neutron, operator):
    network = operator.make("network", name="for-all", shared=True)["id"]
    (policy,) = operator.list(f"rbac-policies?object_id={network}")
    assert (policy["action"], policy["target_tenant"]) == ("access_as_shared", "*")
    assert [n["id"] for n in neutron.list("networks?shared=True")] == [network]
    operator.delete("rbac_policy", policy["id"])
    assert neutron.no("GET", f"networks/{network}")[0] == 404


def test_a_public_network_of_an_older_version_is_seen_after_the_next_start(stage, neutron):
    public = neutron.public()
    with stage.cloud.network.desk.writing() as connection:
        connection.execute(delete(rbac_policies))
        connection.execute(update(networks).values(is_default=False))
    assert neutron.no("GET", f"networks/{public}")[0] == 404
    stage.restart()
    shown = neutron.ok("GET", f"networks/{public}")["network"]
    assert (shown["router:external"], shown["is_default"]) == (True, True)
