"""What Nova has beside servers: flavors, key pairs, quotas, usage, hosts, groups, and what it no longer has."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from server_records import a_server, record

V = "/compute/v2.1"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE6Yjcl6zxdpO7KrQ6qTuqQ9tjXl1CQH7eQzOE10nzD1 ada@desk"


@pytest.fixture(scope="module")
def ada(common_member_of):
    return common_member_of("m51", "ada")


@pytest.fixture(scope="module")
def bob(common_member_of):
    return common_member_of("ngc253", "bob")


@pytest.fixture(scope="module")
def root(common_root):
    return common_root


def told(user, method, path, body=None, version="2.93"):
    """Status and message of a refusal."""
    answer = user.at(version).call(method, V + path, body)
    (fault,) = answer.json().values()
    return answer.status_code, fault["message"]


def made(user, method, path, body=None, version="2.93"):
    return user.at(version).ok(method, V + path, body)


# flavors


def test_a_flavor_s_life(root):
    wish = {"name": "big", "ram": 64, "vcpus": 1, "disk": 1, "id": "b1"}
    assert made(root, "POST", "/flavors", {"flavor": wish})["flavor"]["extra_specs"] == {}
    assert told(root, "POST", "/flavors", {"flavor": wish}) == (409, "Flavor with ID b1 already exists.")
    assert told(root, "POST", "/flavors", {"flavor": wish | {"id": "b2"}}) == (
        409,
        "Flavor with name big already exists.",
    )
    described = made(root, "PUT", "/flavors/b1", {"flavor": {"description": "hi"}})
    assert described["flavor"]["description"] == "hi"
    assert told(root, "PUT", "/flavors/b1", {"flavor": {"description": "x"}}, "2.54")[0] == 404
    made(root, "POST", "/flavors/b1/os-extra_specs", {"extra_specs": {"a": "b", "hw:cpu_policy": "shared"}})
    assert made(root, "PUT", "/flavors/b1/os-extra_specs/a", {"a": "c"}) == {"a": "c"}
    assert told(root, "PUT", "/flavors/b1/os-extra_specs/a", {"z": "c"}) == (
        400,
        "Request body and URI mismatch",
    )
    assert made(root, "GET", "/flavors/b1")["flavor"]["extra_specs"] == {"a": "c", "hw:cpu_policy": "shared"}
    assert root.call("DELETE", f"{V}/flavors/b1/os-extra_specs/a").status_code == 200
    assert root.call("DELETE", f"{V}/flavors/b1").status_code == 202
    assert told(root, "GET", "/flavors/b1") == (404, "Flavor b1 could not be found.")


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ({"hw:cpu_policy": "bogus"}, "Validation failed; 'bogus' is not one of: dedicated, shared, mixed."),
        ({"hw:foo": "1"}, "Validation failed; extra spec 'hw:foo' does not appear to be a valid extra spec."),
    ],
)
def test_extra_specs_of_nova_s_own_are_checked_since_2_86(root, specs, words):
    path = "/flavors/c1-1gb-5/os-extra_specs"
    assert told(root, "POST", path, {"extra_specs": specs}) == (400, words)
    assert made(root, "POST", path, {"extra_specs": specs}, "2.85") == {"extra_specs": specs}
    (key,) = specs
    root.call("DELETE", f"{V}{path}/{key}")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ram": 0}, "Invalid input for field/attribute ram"),
        ({"ram": "64x"}, "Invalid input for field/attribute ram"),
        ({"id": "bad id!/"}, "Invalid input for field/attribute id"),
        ({"name": ""}, "Invalid input for field/attribute name"),
        ({"bogus": 1}, "Invalid input for field/attribute flavor"),
    ],
)
def test_what_no_flavor_can_be(root, wrong, words):
    wish = {"name": "odd", "ram": 64, "vcpus": 1, "disk": 1}
    status, message = told(root, "POST", "/flavors", {"flavor": wish | wrong})
    assert (status, message.startswith(words)) == (400, True), message


def test_flavors_are_sorted_paged_and_filtered(ada):
    def ids(query):
        return [f["id"] for f in made(ada, "GET", f"/flavors?{query}")["flavors"]]

    assert ids("sort_key=memory_mb&sort_dir=desc&limit=2") == ["c8-16gb-40", "c4-8gb-20"]
    assert ids("minRam=8192") == ["c4-8gb-20", "c8-16gb-40"]
    assert ids("minDisk=40") == ["c8-16gb-40"]
    assert ids("sort_key=flavorid&marker=c2-2gb-10") == ["c4-8gb-20", "c8-16gb-40"]
    page = made(ada, "GET", "/flavors?limit=1")
    assert page["flavors_links"][0]["href"].endswith(f"?limit=1&marker={page['flavors'][0]['id']}")
    assert told(ada, "GET", "/flavors?minRam=x") == (400, "Invalid minRam filter [x]")
    assert told(ada, "GET", "/flavors?marker=nope") == (400, "marker [nope] not found")
    assert told(ada, "GET", "/flavors?bogus=1")[0] == 400
    assert ada.at("2.74").call("GET", f"{V}/flavors?bogus=1").status_code == 200


def test_a_public_flavor_has_no_access_list(root, ada):
    path = "/flavors/c1-1gb-5"
    assert told(root, "GET", f"{path}/os-flavor-access") == (
        404,
        "Access list not available for public flavors.",
    )
    body = {"addTenantAccess": {"tenant": ada.project.id}}
    assert told(root, "POST", f"{path}/action", body) == (409, "Can not add access to a public flavor.")


# key pairs


def test_key_pairs_are_made_listed_in_pages_and_deleted(ada):
    for name in ("k1", "k2"):
        answer = ada.call("POST", f"{V}/os-keypairs", {"keypair": {"name": name, "public_key": KEY}})
        assert answer.status_code == 201
    page = made(ada, "GET", "/os-keypairs?limit=1")
    assert [p["keypair"]["name"] for p in page["keypairs"]] == ["k1"]
    assert page["keypairs_links"][0]["href"].endswith("limit=1&marker=k1")
    assert [p["keypair"]["name"] for p in made(ada, "GET", "/os-keypairs?marker=k1")["keypairs"]] == ["k2"]
    assert told(ada, "GET", "/os-keypairs?marker=nope") == (400, "Marker nope could not be found.")
    assert "type" not in made(ada, "GET", "/os-keypairs/k1", version="2.1")["keypair"]
    assert ada.at("2.1").call("DELETE", f"{V}/os-keypairs/k1").status_code == 202
    assert ada.call("DELETE", f"{V}/os-keypairs/k2").status_code == 204
    assert told(ada, "GET", "/os-keypairs/k1") == (404, f"Keypair k1 not found for user {ada.person.id}")


def test_key_pairs_are_generated_until_2_91(ada):
    assert told(ada, "POST", "/os-keypairs", {"keypair": {"name": "gen"}})[0] == 400
    pair = made(ada, "POST", "/os-keypairs", {"keypair": {"name": "gen"}}, "2.91")["keypair"]
    assert "PRIVATE KEY" in pair["private_key"]
    assert "private_key" not in made(ada, "GET", "/os-keypairs/gen")["keypair"]


def test_certificates_are_key_pairs_too(ada):
    pair = made(ada, "POST", "/os-keypairs", {"keypair": {"name": "win", "type": "x509"}}, "2.60")["keypair"]
    assert pair["public_key"].startswith("-----BEGIN CERTIFICATE-----")
    assert (pair["type"], pair["fingerprint"].count(":")) == ("x509", 19)
    certificate = pair["public_key"]
    again = {"keypair": {"name": "win2", "type": "x509", "public_key": certificate}}
    assert made(ada, "POST", "/os-keypairs", again)["keypair"]["fingerprint"] == pair["fingerprint"]
    junk = {"keypair": {"name": "win3", "type": "x509", "public_key": "junk"}}
    assert told(ada, "POST", "/os-keypairs", junk)[0] == 400


def test_names_of_key_pairs_took_at_and_dot_with_2_92(ada):
    wish = {"keypair": {"name": "a.b@c", "public_key": KEY}}
    assert told(ada, "POST", "/os-keypairs", wish, "2.91")[1].startswith(
        "An invalid 'name' value was provided."
    )
    assert made(ada, "POST", "/os-keypairs", wish)["keypair"]["name"] == "a.b@c"
    assert told(ada, "POST", "/os-keypairs", wish) == (409, "Key pair 'a.b@c' already exists.")


def test_key_pairs_of_others_are_for_administrators(ada, bob, root):
    assert told(bob, "GET", f"/os-keypairs?user_id={ada.person.id}")[0] == 403
    wish = {"keypair": {"name": "from-root", "public_key": KEY, "user_id": ada.person.id}}
    assert told(bob, "POST", "/os-keypairs", wish)[0] == 403
    assert told(root, "POST", "/os-keypairs", wish, "2.2")[0] == 400
    assert made(root, "POST", "/os-keypairs", wish)["keypair"]["user_id"] == ada.person.id
    assert (
        made(root, "GET", f"/os-keypairs/from-root?user_id={ada.person.id}")["keypair"]["name"] == "from-root"
    )


# quotas, limits, usage


def test_quotas_are_set_bounded_and_given_back(ada, root):
    path = f"/os-quota-sets/{ada.project.id}"
    first = made(ada, "GET", path)["quota_set"]
    assert made(root, "PUT", path, {"quota_set": {"server_groups": 3, "cores": 7}})["quota_set"]["cores"] == 7
    assert made(ada, "GET", f"{path}/detail")["quota_set"]["server_groups"]["limit"] == 3
    assert made(ada, "GET", "/limits")["limits"]["absolute"]["maxServerGroups"] == 3
    assert root.call("DELETE", V + path).status_code == 202
    assert made(ada, "GET", path)["quota_set"] == first == made(ada, "GET", f"{path}/defaults")["quota_set"]
    for wrong in ({"cores": -2}, {"cores": "x"}, {"bogus": 1}, {"floating_ips": 3}, {"force": "maybe"}):
        assert told(root, "PUT", path, {"quota_set": wrong})[0] == 400
    assert told(root, "PUT", "/os-quota-sets/nope", {"quota_set": {"cores": 1}}) == (
        400,
        "Project ID nope is not a valid project.",
    )
    assert told(ada, "PUT", path, {"quota_set": {"cores": 1}})[0] == 403


def test_a_quota_class_holds_for_projects_without_their_own(ada, bob, root):
    mine = f"/os-quota-sets/{ada.project.id}"
    made(root, "PUT", mine, {"quota_set": {"key_pairs": 5}})
    made(root, "PUT", "/os-quota-class-sets/default", {"quota_class_set": {"key_pairs": 50}})
    assert made(root, "GET", "/os-quota-class-sets/default")["quota_class_set"]["key_pairs"] == 50
    assert made(ada, "GET", mine)["quota_set"]["key_pairs"] == 5
    assert made(bob, "GET", f"/os-quota-sets/{bob.project.id}")["quota_set"]["key_pairs"] == 50
    made(root, "PUT", "/os-quota-class-sets/default", {"quota_class_set": {"key_pairs": 100}})


def test_others_limits_are_for_administrators(ada, bob, root):
    assert told(ada, "GET", f"/limits?tenant_id={bob.project.id}") == (
        403,
        "Policy doesn't allow os_compute_api:limits:other_project to be performed.",
    )
    made(root, "GET", f"/limits?tenant_id={bob.project.id}")


def test_usage_is_told_by_project_and_in_pages(common_stage, member_of_usage, root):
    eve = member_of_usage
    path = f"/os-simple-tenant-usage/{eve.project.id}"
    whole = made(eve, "GET", path)["tenant_usage"]
    assert (whole["total_hours"], len(whole["server_usages"])) == (3.0, 3)
    seen = []
    query = "?limit=2"
    while query:
        page = made(eve, "GET", path + query)
        seen += [use["name"] for use in page["tenant_usage"]["server_usages"]]
        (link,) = page.get("tenant_usage_links", [{"href": ""}])
        query = link["href"].partition(eve.project.id)[2]
    assert seen == ["vm-0", "vm-1", "vm-2"]
    assert told(eve, "GET", "/os-simple-tenant-usage")[0] == 403
    assert eve.project.id in json.dumps(made(root, "GET", "/os-simple-tenant-usage?detailed=1"))
    assert told(eve, "GET", f"{path}?start=bad")[0] == 400


@pytest.fixture(scope="module")
def member_of_usage(common_stage, common_member_of):
    """Somebody with three servers that ran for an hour each."""
    eve = common_member_of("usage", "eve")
    now = common_stage.clock.now()
    record(
        common_stage.directory,
        [
            a_server(
                n,
                eve.project.id,
                launched_at=now - timedelta(hours=1),
                created_at=now - timedelta(minutes=60 - n),
            )
            for n in range(3)
        ],
    )
    return eve


# the host


def test_the_one_host_is_shown_as_each_version_shows_it(root, ada):
    newest = made(root, "GET", "/os-hypervisors/detail")["hypervisors"][0]
    assert " up " in newest["uptime"]
    assert "vcpus" not in newest
    older = made(root, "GET", "/os-hypervisors/detail", version="2.87")["hypervisors"][0]
    assert older["vcpus"] == 8
    assert made(root, "GET", "/os-hypervisors/1", version="2.1")["hypervisor"]["id"] == 1
    assert told(root, "GET", "/os-hypervisors/statistics")[0] == 404
    assert (
        made(root, "GET", "/os-hypervisors/statistics", version="2.87")["hypervisor_statistics"]["count"] == 1
    )
    assert told(root, "GET", "/os-hypervisors/nope") == (400, "Invalid uuid nope")
    alone = made(root, "GET", f"/os-hypervisors/{newest['id']}/uptime", version="2.87")["hypervisor"]
    assert "load average" in alone["uptime"]
    found = made(root, "GET", "/os-hypervisors?hypervisor_hostname_pattern=arm&with_servers=1")["hypervisors"]
    assert found[0]["id"] == newest["id"]
    assert told(ada, "GET", "/os-hypervisors")[0] == 403


def test_a_service_is_switched_off_and_on(root):
    (compute,) = made(root, "GET", "/os-services?binary=nova-compute")["services"]
    path = f"/os-services/{compute['id']}"
    assert told(root, "PUT", path, {})[1].startswith("No updates were requested.")
    off = made(root, "PUT", path, {"status": "disabled", "disabled_reason": "repairs"})["service"]
    assert (off["status"], off["disabled_reason"]) == ("disabled", "repairs")
    zone = made(root, "GET", "/os-availability-zone")["availabilityZoneInfo"][0]
    assert zone["zoneState"] == {"available": False}
    assert made(root, "PUT", path, {"status": "enabled"})["service"]["disabled_reason"] is None
    older = {"host": "armillary", "binary": "nova-compute"}
    assert made(root, "PUT", "/os-services/disable", older, "2.52")["service"]["status"] == "disabled"
    assert made(root, "PUT", "/os-services/enable", older, "2.52")["service"]["status"] == "enabled"
    assert told(root, "DELETE", path)[0] == 400


def test_an_aggregate_s_life(root):
    aggregate = made(root, "POST", "/os-aggregates", {"aggregate": {"name": "fast"}})["aggregate"]
    path = f"/os-aggregates/{aggregate['id']}"
    assert told(root, "POST", "/os-aggregates", {"aggregate": {"name": "fast"}}) == (
        409,
        "Aggregate fast already exists.",
    )
    assert made(root, "PUT", path, {"aggregate": {"name": "faster"}})["aggregate"]["name"] == "faster"
    host = {"host": "armillary"}
    assert made(root, "POST", f"{path}/action", {"add_host": host})["aggregate"]["hosts"] == ["armillary"]
    assert told(root, "POST", f"{path}/action", {"add_host": host})[0] == 409
    marked = made(
        root, "POST", f"{path}/action", {"set_metadata": {"metadata": {"ssd": "true", "old": None}}}
    )
    assert marked["aggregate"]["metadata"] == {"ssd": "true"}
    assert told(root, "DELETE", path)[0] == 400
    made(root, "POST", f"{path}/action", {"remove_host": host})
    assert root.call("DELETE", V + path).status_code == 200
    assert told(root, "GET", path) == (404, f"Aggregate {aggregate['id']} could not be found.")


# server groups


def test_a_server_group_s_life(ada, bob):
    wish = {"name": "apart", "policy": "anti-affinity", "rules": {"max_server_per_host": 3}}
    group = made(ada, "POST", "/os-server-groups", {"server_group": wish})["server_group"]
    assert (group["policy"], group["rules"], group["members"]) == (
        "anti-affinity",
        {"max_server_per_host": 3},
        [],
    )
    older = made(ada, "GET", f"/os-server-groups/{group['id']}", version="2.12")["server_group"]
    assert older == {
        "id": group["id"],
        "name": "apart",
        "policies": ["anti-affinity"],
        "metadata": {},
        "members": [],
    }
    assert told(bob, "GET", f"/os-server-groups/{group['id']}")[0] == 404
    assert [g["name"] for g in made(ada, "GET", "/os-server-groups?limit=1")["server_groups"]] == ["apart"]
    assert ada.call("DELETE", f"{V}/os-server-groups/{group['id']}").status_code == 204
    assert told(ada, "GET", f"/os-server-groups/{group['id']}") == (
        404,
        f"Instance group {group['id']} could not be found.",
    )


@pytest.mark.parametrize(
    ("wish", "version"),
    [
        ({"name": "g", "policies": ["affinity"]}, "2.93"),
        ({"name": "g"}, "2.93"),
        ({"name": "g", "policy": "zz"}, "2.93"),
        ({"name": "g", "policy": "affinity", "rules": {"max_server_per_host": 3}}, "2.93"),
        ({"name": "g", "policies": ["affinity", "anti-affinity"]}, "2.1"),
        ({"name": "g", "policies": ["soft-affinity"]}, "2.14"),
        ({"name": "g", "policy": "affinity"}, "2.63"),
    ],
)
def test_what_no_server_group_can_be(ada, wish, version):
    assert told(ada, "POST", "/os-server-groups", {"server_group": wish}, version)[0] == 400


def test_a_project_has_ten_server_groups_at_most(bob):
    wish = {"server_group": {"name": "g", "policy": "affinity"}}
    for _ in range(10):
        made(bob, "POST", "/os-server-groups", wish)
    assert told(bob, "POST", "/os-server-groups", wish) == (403, "Quota exceeded, too many server groups.")


# the old proxies


def test_security_groups_by_way_of_nova(ada, bob):
    def at(user, method, path, body=None):
        return made(user, method, path, body, "2.1")

    group = at(ada, "POST", "/os-security-groups", {"security_group": {"name": "web", "description": "d"}})
    group_id = group["security_group"]["id"]
    rule = {
        "parent_group_id": group_id,
        "ip_protocol": "tcp",
        "from_port": 80,
        "to_port": 80,
        "cidr": "10.0.0.0/8",
    }
    opened = at(ada, "POST", "/os-security-group-rules", {"security_group_rule": rule})["security_group_rule"]
    assert (opened["from_port"], opened["ip_range"]) == (80, {"cidr": "10.0.0.0/8"})
    ping = {
        "parent_group_id": group_id,
        "ip_protocol": "icmp",
        "from_port": -1,
        "to_port": -1,
        "group_id": group_id,
    }
    opened = at(ada, "POST", "/os-security-group-rules", {"security_group_rule": ping})["security_group_rule"]
    assert (opened["from_port"], opened["group"]["name"]) == (-1, "web")
    for wrong, words in (
        ({"ip_protocol": "bogus"}, "Invalid IP protocol bogus."),
        ({"to_port": 79}, "Invalid port range 80:79. Former value cannot be greater than the later"),
        ({"cidr": "zz"}, "zz is not a valid IP network."),
        ({}, f"This rule already exists in group {group_id}"),
    ):
        body = {"security_group_rule": rule | wrong}
        assert told(ada, "POST", "/os-security-group-rules", body, "2.1") == (400, words)
    renamed = {"security_group": {"name": "www", "description": "e"}}
    assert at(ada, "PUT", f"/os-security-groups/{group_id}", renamed)["security_group"]["name"] == "www"
    assert told(bob, "GET", f"/os-security-groups/{group_id}", None, "2.1")[0] == 404
    assert told(ada, "GET", "/os-security-groups/nope", None, "2.1") == (
        400,
        "Security group id should be uuid",
    )
    deleted = ada.at("2.1").call("DELETE", f"{V}/os-security-group-rules/{opened['id']}")
    assert deleted.status_code == 202
    assert ada.at("2.1").call("DELETE", f"{V}/os-security-groups/{group_id}").status_code == 202


def test_images_by_way_of_nova(ada, bob):
    image_id = ada.image("seen by nova")
    image = made(ada, "GET", f"/images/{image_id}", version="2.1")["image"]
    assert (image["status"], image["progress"], image["OS-EXT-IMG-SIZE:size"]) == ("ACTIVE", 100, 1024)
    assert [i["name"] for i in made(ada, "GET", "/images?limit=1", version="2.1")["images"]] == [
        "seen by nova"
    ]
    metadata = {"metadata": {"colour": "blue"}}
    assert made(ada, "POST", f"/images/{image_id}/metadata", metadata, "2.1") == metadata
    assert made(ada, "PUT", f"/images/{image_id}/metadata/colour", {"meta": {"colour": "red"}}, "2.1")
    assert made(ada, "GET", f"/images/{image_id}/metadata/colour", version="2.1") == {
        "meta": {"colour": "red"}
    }
    assert made(ada, "PUT", f"/images/{image_id}/metadata", {"metadata": {"a": "b"}}, "2.1") == {
        "metadata": {"a": "b"}
    }
    assert ada.at("2.1").call("DELETE", f"{V}/images/{image_id}/metadata/a").status_code == 204
    assert told(bob, "GET", f"/images/{image_id}", None, "2.1") == (404, "Image not found.")
    assert ada.at("2.1").call("DELETE", f"{V}/images/{image_id}").status_code == 204
    assert told(ada, "GET", f"/images/{image_id}", None, "2.1") == (404, "Image not found.")


def test_networks_and_floating_ips_by_way_of_nova(ada):
    nets = made(ada, "GET", "/os-networks", version="2.1")["networks"]
    assert "public" in {net["label"] for net in nets}
    assert (
        made(ada, "GET", f"/os-tenant-networks/{nets[0]['id']}", version="2.1")["network"]["cidr"] == "None"
    )
    assert told(ada, "GET", "/os-networks/nope", None, "2.1") == (404, "Network not found")
    ip = made(ada, "POST", "/os-floating-ips", {"pool": "public"}, "2.1")["floating_ip"]
    assert (ip["pool"], ip["instance_id"]) == ("public", None)
    assert made(ada, "GET", f"/os-floating-ips/{ip['id']}", version="2.1")["floating_ip"] == ip
    assert made(ada, "GET", "/os-floating-ip-pools", version="2.1") == {
        "floating_ip_pools": [{"name": "public"}]
    }
    assert ada.at("2.1").call("DELETE", f"{V}/os-floating-ips/{ip['id']}").status_code == 202
    assert told(ada, "POST", "/os-floating-ips", {"pool": "zz"}, "2.1") == (
        404,
        "Floating IP pool not found.",
    )


@pytest.mark.parametrize(
    ("path", "last"),
    [
        ("/os-security-groups", 35), ("/images", 35), ("/images/detail", 35), ("/os-networks", 35),
        ("/os-tenant-networks", 35), ("/os-floating-ips", 35), ("/os-floating-ip-pools", 35), ("/os-volumes", 35),
        ("/os-volumes/detail", 35), ("/os-snapshots", 35), ("/os-hosts", 42),
    ],
)  # fmt: skip
def test_each_proxy_ends_with_its_version(root, path, last):
    assert root.at(f"2.{last}").call("GET", V + path).status_code == 200
    assert told(root, "GET", path, None, f"2.{last + 1}") == (404, "The resource could not be found.")


@pytest.mark.parametrize(
    "path",
    [
        "/os-agents",
        "/os-cells",
        "/os-cloudpipe",
        "/os-fping/x",
        "/os-certificates/root",
        "/os-fixed-ips/1.2.3.4",
    ],
)
def test_what_nova_took_away_is_gone(ada, path):
    words = "This resource is no longer available. No forwarding address is given."
    assert told(ada, "GET", path) == (410, words)


def test_unknown_paths_and_methods_are_pages_of_html(ada):
    for method, path in (
        ("GET", "/bogus"),
        ("PUT", "/servers"),
        ("DELETE", "/flavors"),
        ("GET", "/os-consoles"),
    ):
        answer = ada.call(method, V + path)
        assert (answer.status_code, answer.headers["content-type"][:9]) == (404, "text/html")


def test_bodies_that_are_none(ada):
    def send(body):
        headers = {"X-Auth-Token": ada.token, "Content-Type": "application/json"}
        return ada.stage.http.post(f"{V}/os-keypairs", content=body, headers=headers)

    assert send("{bad").json() == {"badRequest": {"code": 400, "message": "Malformed request body"}}
    assert send("[]").status_code == 400
    assert send("").status_code == 400
    assert send('{"keypair":{"name":"' + "x" * (1 << 20) + '"}}').status_code == 413


def test_what_other_services_tell_of_servers_nobody_knows_fails(root, ada):
    event = {"name": "network-changed", "server_uuid": "3df201cf-2451-44f2-8d25-a4ca826fc1f3"}
    answer = root.call("POST", f"{V}/os-server-external-events", {"events": [event]})
    assert (answer.status_code, answer.json()["events"][0]["code"]) == (207, 404)
    assert told(root, "POST", "/os-server-external-events", {"events": []})[0] == 400
    assert told(ada, "POST", "/os-server-external-events", {"events": [event]})[0] == 403


def test_the_list_of_extensions(ada):
    extensions = made(ada, "GET", "/extensions")["extensions"]
    assert len(extensions) == 99
    assert made(ada, "GET", "/extensions/os-keypairs")["extension"]["name"] == "Keypairs"
    assert told(ada, "GET", "/extensions/nope")[0] == 404


def test_version_documents_need_no_token(common_stage):
    get = common_stage.http.get
    assert [v["id"] for v in get("/compute/").json()["versions"]] == ["v2.0", "v2.1"]
    assert get("/compute/v2.1/").json()["version"]["version"] == "2.93"
    assert get("/compute/v2/").json()["version"]["status"] == "SUPPORTED"
