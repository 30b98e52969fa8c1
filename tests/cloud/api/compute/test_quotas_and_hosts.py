"""What Nova tells of use and of where servers are: quotas, usage, hosts, aggregates, server groups."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from nova_talk import V, made, told
from server_records import a_server, record

# quotas and use


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
