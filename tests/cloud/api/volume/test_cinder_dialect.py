"""Cinder's words, versions and shapes."""

from __future__ import annotations

import pytest
from shelf import Shelf

NOWHERE = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def shelf(ada) -> Shelf:
    return Shelf(ada)


@pytest.fixture
def all_shelves(root) -> Shelf:
    return Shelf(root)


BAD_VOLUMES = [
    ({"size": -1}, "Invalid input for field/attribute size. Value: -1. -1 is less than the minimum of 1"),
    ({"size": "#$%"}, "Invalid input for field/attribute size. Value: #$%. '#$%' does not match '^[0-9]+$'"),
    (
        {"size": 1, "name": 5},
        "Invalid input for field/attribute name. Value: 5. 5 is not of type 'string', 'null'",
    ),
    (
        {"size": 1, "colour": "red"},
        (
            "Invalid input for field/attribute volume. Value: {'size': 1, 'colour': 'red'}. Additional properties are "
            "not allowed ('colour' was unexpected)"
        ),
    ),
    (
        {"size": 1, "snapshot_id": "x"},
        "Invalid input for field/attribute snapshot_id. Value: x. 'x' is not a 'uuid'",
    ),
    ({"size": 1, "availability_zone": "mars"}, "Availability zone 'mars' is invalid."),
    ({"size": 1, "name": "n" * 256}, "Invalid input received: name has 256 characters, more than 255."),
    ({}, "Invalid input received: Volume size 'None' must be an integer and greater than 0"),
    ({"size": 1, "imageRef": NOWHERE}, "Invalid image identifier or unable to access requested image."),
]


def test_a_bad_volume_is_refused_in_cinder_s_words(shelf):
    for asked, said in BAD_VOLUMES:
        assert shelf.refused("POST", "/volumes", {"volume": asked}) == said


def test_what_is_not_there_is_named(shelf):
    for path, said in {
        f"/volumes/{NOWHERE}": f"Volume {NOWHERE} could not be found.",
        f"/snapshots/{NOWHERE}": f"Snapshot {NOWHERE} could not be found.",
        f"/backups/{NOWHERE}": f"Backup {NOWHERE} could not be found.",
        f"/volume-transfers/{NOWHERE}": f"Transfer {NOWHERE} could not be found.",
        f"/types/{NOWHERE}": f"Volume type {NOWHERE} could not be found.",
        f"/messages/{NOWHERE}": f"Message {NOWHERE} could not be found.",
        f"/groups/{NOWHERE}": f"Group {NOWHERE} could not be found.",
    }.items():
        assert shelf.refused("GET", path, status=404) == said
    assert "Snapshot" in shelf.refused("POST", "/volumes", {"volume": {"snapshot_id": NOWHERE}}, status=404)
    assert "Volume type" in shelf.refused(
        "POST", "/volumes", {"volume": {"size": 1, "volume_type": "x"}}, status=404
    )


def test_the_versions_are_told_to_everybody_and_the_version_to_those_with_a_token(stage, shelf):
    versions = stage.http.get("/volume/")
    assert versions.status_code == 300
    assert versions.json()["versions"][0]["version"] == "3.70"
    without = stage.http.get("/volume/v3/")
    assert (without.status_code, without.json()["error"]["title"]) == (401, "Unauthorized")
    assert shelf.ok("GET", "/")["versions"][0]["min_version"] == "3.0"


FIELDS = [
    (
        "3.0",
        {"bootable", "volume_type"},
        {"group_id", "service_uuid", "volume_type_id", "consumes_quota"},
    ),
    ("3.13", {"group_id"}, {"service_uuid"}),
    ("3.48", {"service_uuid", "shared_targets"}, {"volume_type_id"}),
    ("3.63", {"volume_type_id"}, {"consumes_quota"}),
    ("3.70", {"consumes_quota", "os-vol-tenant-attr:tenant_id"}, {"os-vol-host-attr:host"}),
]


def test_each_microversion_has_its_fields(shelf):
    volume_id = shelf.make()
    for version, there, not_there in FIELDS:
        shelf.version = version
        shown = shelf.show(volume_id)
        assert there <= shown.keys(), version
        assert not not_there & shown.keys(), version


def test_administrators_see_where_a_volume_lies(shelf, all_shelves):
    volume_id = shelf.make()
    shown = all_shelves.show(volume_id)
    assert shown["os-vol-host-attr:host"] == "armillary@disk#disk"
    assert {"migration_status", "provider_id", "cluster_name"} <= shown.keys()


def test_what_came_later_is_not_there_for_earlier_clients(shelf):
    shelf.version = "3.0"
    for path in (
        "/volumes/summary",
        "/messages",
        "/attachments",
        "/resource_filters",
        "/groups",
    ):
        assert shelf.call("GET", path).status_code == 404, path
    assert "no such action: revert" in shelf.act_refused(shelf.make(), "revert", snapshot_id=NOWHERE)


def test_a_path_may_name_one_s_project_or_none_and_no_other(ada, bob, shelf):
    shelf.make(name="v")
    for path in ("/volumes", f"/{ada.project.id}/volumes"):
        assert [item["name"] for item in shelf.ok("GET", path)["volumes"]] == ["v"]
    assert shelf.refused("GET", f"/{bob.project.id}/volumes") == "Malformed request url"
    (volume,) = shelf.ok("GET", f"/{ada.project.id}/volumes")["volumes"]
    assert volume["links"][0]["href"].endswith(f"/volume/v3/{ada.project.id}/volumes/{volume['id']}")


def test_lists_come_in_pages_filtered_and_sorted(stage, shelf):
    for number in range(5):
        shelf.begin(name=f"v{number}", metadata={"odd": str(number % 2)}, size=1 + number % 2)
    stage.settle()
    assert shelf.names("/volumes?sort=name:asc") == ["v0", "v1", "v2", "v3", "v4"]
    assert shelf.names("/volumes?sort=size:desc,name:asc") == ["v1", "v3", "v0", "v2", "v4"]
    assert shelf.names("/volumes?sort_key=name&sort_dir=asc&offset=1&limit=2") == ["v1", "v2"]
    assert shelf.names("/volumes?metadata=%7B%27odd%27%3A%20%271%27%7D&sort=name:asc") == ["v1", "v3"]
    assert shelf.names("/volumes?name~=v3") == ["v3"]
    assert shelf.names("/volumes?status=error") == shelf.names("/volumes?status=wrong") == []
    assert shelf.names("/volumes?limit=0") == []
    pages, path = [], "/volumes/detail?limit=2&with_count=true&sort=size:desc,name:asc"
    while path:
        page = shelf.ok("GET", path)
        assert page["count"] == 5
        pages.append([item["name"] for item in page["volumes"]])
        path = page["volumes_links"][0]["href"].partition("/volume/v3")[2] if "volumes_links" in page else ""
    assert pages == [["v1", "v3"], ["v0", "v2"], ["v4"]]
    assert shelf.ok("GET", "/volumes/summary") == {
        "volume-summary": {"total_count": 5, "total_size": 7, "metadata": {"odd": ["0", "1"]}}
    }


BAD_PAGES = [
    ("limit=-1", 400, "limit param must be positive"),
    ("limit=x", 400, "limit param must be an integer"),
    ("sort=colour", 400, "Invalid input received: Invalid sort key"),
    ("sort=name&sort_key=name", 400, "cannot be used with the 'sort' parameter"),
    (f"marker={NOWHERE}", 404, f"Volume {NOWHERE} could not be found."),
    ("created_at=after:now", 400, "Invalid after operator"),
    ("colour=red", 400, "Invalid filters colour are found in query options."),
    ("bootable=perhaps", 400, "Invalid input received: 'bootable = perhaps'"),
]


def test_a_page_that_makes_no_sense_is_refused(shelf):
    for query, status, said in BAD_PAGES:
        assert said in shelf.refused("GET", f"/volumes?{query}", status=status)


def test_filters_that_no_metadata_can_match_match_nothing(shelf):
    shelf.make(metadata={"a": "1"})
    assert shelf.names("/volumes?metadata=%7B%22x%5C%22y%22%3A%20%221%22%7D") == []
    assert "metadata = " in shelf.refused("GET", "/volumes?metadata=%7B")


def test_quotas_follow_the_allocation_and_what_administrators_set(ada, shelf, all_shelves):
    shelf.make(size=2)
    path = f"/os-quota-sets/{ada.project.id}"
    detail = shelf.ok("GET", f"{path}?usage=True")["quota_set"]
    assert detail["gigabytes"] == {"limit": 100, "in_use": 2, "reserved": 0}
    all_shelves.ok("PUT", path, {"quota_set": {"volumes": 1, "gigabytes": "50"}})
    assert shelf.ok("GET", path)["quota_set"]["gigabytes"] == 50
    said = shelf.refused("POST", "/volumes", {"volume": {"size": 1}}, status=413)
    assert said.startswith(
        "VolumeLimitExceeded: Maximum number of volumes allowed (1) exceeded for quota 'volumes'."
    )
    absolute = shelf.ok("GET", "/limits")["limits"]["absolute"]
    assert (absolute["maxTotalVolumes"], absolute["totalVolumesUsed"], absolute["totalGigabytesUsed"]) == (
        1,
        1,
        2,
    )
    all_shelves.ok("DELETE", path)
    assert shelf.ok("GET", path)["quota_set"]["gigabytes"] == 100
    assert "Bad key(s) in quota set: shoes" in all_shelves.refused("PUT", path, {"quota_set": {"shoes": 1}})


def test_private_types_are_for_those_that_were_let_in(ada, shelf, all_shelves):
    asked = {"name": "secret", "os-volume-type-access:is_public": False, "extra_specs": {"disk": "ssd"}}
    kind = all_shelves.ok("POST", "/types", {"volume_type": asked})["volume_type"]
    assert "could not be found" in shelf.refused("GET", f"/types/{kind['id']}", status=404)
    grant = {"addProjectAccess": {"project": ada.project.id}}
    all_shelves.ok("POST", f"/types/{kind['id']}/action", grant)
    assert "already exists" in all_shelves.refused("POST", f"/types/{kind['id']}/action", grant, status=409)
    assert shelf.ok("GET", f"/types/{kind['id']}")["volume_type"]["extra_specs"] == {}
    all_shelves.ok("PUT", f"/default-types/{ada.project.id}", {"default_type": {"volume_type": "secret"}})
    volume_id = shelf.make()
    assert shelf.show(volume_id)["volume_type"] == "secret"
    assert "still in use" in all_shelves.refused("DELETE", f"/types/{kind['id']}")


def test_qualities_are_tied_to_types(all_shelves):
    qos = all_shelves.ok(
        "POST", "/qos-specs", {"qos_specs": {"name": "q", "consumer": "front-end", "iops": "5"}}
    )
    path = f"/qos-specs/{qos['qos_specs']['id']}"
    assert qos["qos_specs"]["specs"] == {"iops": "5"}
    all_shelves.ok("PUT", path, {"qos_specs": {"bps": "7"}})
    all_shelves.ok("PUT", f"{path}/delete_keys", {"keys": ["iops"]})
    kind = all_shelves.ok("POST", "/types", {"volume_type": {"name": "t"}})["volume_type"]["id"]
    all_shelves.ok("GET", f"{path}/associate?vol_type_id={kind}")
    assert all_shelves.ok("GET", f"{path}/associations")["qos_associations"][0]["name"] == "t"
    assert "still associated" in all_shelves.refused("DELETE", path)
    all_shelves.ok("DELETE", f"{path}?force=true")
    assert all_shelves.ok("GET", f"/types/{kind}")["volume_type"]["qos_specs_id"] is None


def test_what_this_cloud_does_not_do_it_refuses_in_plain_words(shelf, all_shelves):
    volume_id = shelf.make()
    assert "cannot be reached over a network" in shelf.act_refused(
        volume_id, "os-initialize_connection", connector={"host": "h"}
    )
    assert "nowhere to migrate to" in all_shelves.act_refused(
        volume_id, "os-migrate_volume", status=409, host="elsewhere"
    )
    kind = all_shelves.ok("GET", "/types")["volume_types"][0]["id"]
    assert "does not encrypt" in all_shelves.refused("POST", f"/types/{kind}/encryption", {"encryption": {}})
    assert "keeps no groups" in shelf.refused("POST", "/groups", {"group": {}})
    assert "no such action: os-dance" in shelf.act_refused(volume_id, "os-dance")


def test_administrators_see_the_parts_of_the_service_and_how_full_the_disk_is(shelf, all_shelves):
    shelf.make(size=3)
    services = all_shelves.ok("GET", "/os-services")["services"]
    assert {row["binary"] for row in services} == {"cinder-scheduler", "cinder-volume", "cinder-backup"}
    (pool,) = all_shelves.ok("GET", "/scheduler-stats/get_pools?detail=True")["pools"]
    assert (pool["capabilities"]["total_capacity_gb"], pool["capabilities"]["free_capacity_gb"]) == (200, 197)
    assert len(all_shelves.ok("GET", "/os-hosts")["hosts"]) == 3
    for path in ("/os-services", "/scheduler-stats/get_pools", "/os-hosts", "/qos-specs", "/clusters"):
        assert shelf.call("GET", path).status_code == 403, path
