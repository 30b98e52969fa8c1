"""Image v2 over HTTP, in Glance's words."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from armillary.base.clock import VirtualClock

if TYPE_CHECKING:
    from conftest import Client

BASE = "http://cloud.test:9101/image"
CONTENT = b"a picture of a machine" * 1000


def test_versions_need_no_token(nobody: Client) -> None:
    answer = nobody("GET", "/")
    assert answer.status_code == 300
    current = answer.json()["versions"][0]
    assert current["id"] == "v2.15"
    assert current["status"] == "CURRENT"
    assert current["links"] == [{"rel": "self", "href": f"{BASE}/v2/"}]


def test_without_a_token_it_names_the_place_to_sign_in(nobody: Client) -> None:
    answer = nobody("GET", "/v2/images")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Keystone uri="http://cloud.test:9101/identity/v3"'
    assert "<h1>401 Unauthorized</h1>" in answer.text


def test_a_new_image_is_queued_and_shared_and_has_no_content(mine: Client) -> None:
    answer = mine("POST", "/v2/images", json={"name": "q"})
    image = answer.json()
    assert answer.headers["location"] == f"{BASE}/v2/images/{image['id']}"
    assert answer.headers["x-openstack-request-id"].startswith("req-")
    expected: dict[str, Any] = {
        "status": "queued",
        "visibility": "shared",
        "size": None,
        "disk_format": None,
        "tags": [],
    }
    assert {key: image[key] for key in expected} == expected
    assert image["self"] == f"/v2/images/{image['id']}"
    assert mine("GET", f"/v2/images/{image['id']}/file").status_code == 204


def test_an_upload_shows_its_digests_and_comes_back_the_same(mine: Client) -> None:
    image_id = mine.active(os_distro="debian")
    image = mine("GET", f"/v2/images/{image_id}").json()
    assert image["status"] == "active"
    assert image["os_distro"] == "debian"
    assert image["checksum"] == hashlib.md5(CONTENT).hexdigest()
    assert image["os_hash_algo"] == "sha512"
    assert image["os_hash_value"] == hashlib.sha512(CONTENT).hexdigest()
    assert image["size"] == len(CONTENT)
    answer = mine("GET", f"/v2/images/{image_id}/file")
    assert answer.content == CONTENT
    assert answer.headers["content-md5"] == image["checksum"]


@pytest.mark.parametrize(
    ("asked", "part"),
    [("bytes=0-9", CONTENT[:10]), ("bytes=21990-", CONTENT[21990:]), ("bytes=-5", CONTENT[-5:])],
)
def test_a_range_of_the_bytes_can_be_had(mine: Client, asked: str, part: bytes) -> None:
    answer = mine("GET", f"/v2/images/{mine.active()}/file", headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == part
    assert answer.headers["content-range"].endswith(f"/{len(CONTENT)}")


def test_a_range_past_the_end_is_refused(mine: Client) -> None:
    answer = mine("GET", f"/v2/images/{mine.active()}/file", headers={"Range": "bytes=99999-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-MD5": "0" * 32},
        {"Repr-Digest": "sha-512=:" + "A" * 86 + "==:"},
        {"Content-Digest": "sha-256=:" + "A" * 43 + "=:"},
    ],
)
def test_bytes_that_differ_from_their_declared_digest_are_refused(
    mine: Client, headers: dict[str, Any]
) -> None:
    image_id = mine.create()
    answer = mine.upload(image_id, CONTENT, **headers)
    assert answer.status_code == 400
    assert mine("GET", f"/v2/images/{image_id}").json()["status"] == "queued"
    assert mine.upload(image_id).status_code == 204


def test_a_qcow2_with_a_backing_file_is_refused_with_the_reason(mine: Client) -> None:
    image_id = mine.create(disk_format="qcow2")
    answer = mine.upload(image_id, b"QFI\xfb\0\0\0\x03" + (200).to_bytes(8, "big") + bytes(200))
    assert answer.status_code == 400
    assert "backing file" in answer.text


def test_an_upload_needs_the_media_type_of_bytes(mine: Client) -> None:
    answer = mine.upload(mine.create(), CONTENT, **{"Content-Type": "application/json"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"disk_format": "bogus"}, 400, "&#x27;bogus&#x27; is not one of [None, &#x27;ami&#x27;"),
        ({"visibility": "odd"}, 400, "is not one of"),
        ({"min_disk": -1}, 400, "min_disk"),
        ({"protected": "yes"}, 400, "is not of type"),
        ({"weight": 3}, 400, "is not of type"),
        ({"status": "active"}, 403, "read-only"),
        ({"locations": []}, 403, "reserved"),
        ({"owner": "somebody"}, 403, "not permitted to create images owned by"),
        ({"id": "seven"}, 400, "id"),
        ([], 400, "JSON object"),
    ],
)
def test_a_bad_description_is_refused_in_glances_shape(
    mine: Client, body: Any, status: int, words: str
) -> None:
    answer = mine("POST", "/v2/images", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert words in answer.text


def test_an_id_is_taken_once(mine: Client) -> None:
    image_id = mine.create(id="5b1b5a5e-0b5c-4c5e-9d5f-3f5b5a5e0b5c")
    assert mine("POST", "/v2/images", json={"id": image_id}).status_code == 409


def test_an_image_that_is_not_there_is_named(mine: Client) -> None:
    answer = mine("GET", "/v2/images/00000000-0000-0000-0000-000000000000")
    assert answer.status_code == 404
    assert "No image found with ID 00000000-0000-0000-0000-000000000000<br /><br />" in answer.text


def test_a_patch_changes_properties_tags_and_attributes_together(mine: Client) -> None:
    image_id = mine.active(a="1", b="2")
    answer = mine.patch(
        image_id,
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/x~1y", "value": "z"},
        {"op": "remove", "path": "/a"},
        {"op": "replace", "path": "/tags", "value": ["t1"]},
        {"op": "add", "path": "/tags/-", "value": "t2"},
        {"op": "replace", "path": "/visibility", "value": "private"},
    )
    assert answer.status_code == 200, answer.text
    image = answer.json()
    assert (image["name"], image["x/y"], image["b"]) == ("new", "z", "2")
    assert (image["tags"], image["visibility"]) == (["t1", "t2"], "private")
    assert "a" not in image


def test_a_patch_with_one_bad_step_changes_nothing(mine: Client) -> None:
    image_id = mine.active()
    answer = mine.patch(
        image_id,
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "replace", "path": "/status", "value": "active"},
    )
    assert answer.status_code == 403
    assert "Attribute &#x27;status&#x27; is read-only." in answer.text
    assert mine("GET", f"/v2/images/{image_id}").json()["name"] == "base"


@pytest.mark.parametrize(
    ("step", "status"),
    [
        ({"op": "replace", "path": "/nothing", "value": "x"}, 409),
        ({"op": "remove", "path": "/name"}, 403),
        ({"op": "replace", "path": "/disk_format", "value": "qcow2"}, 403),
        ({"op": "move", "path": "/name", "value": "x"}, 400),
        ({"op": "add", "path": "name", "value": "x"}, 400),
        ({"op": "add", "path": "/a/b", "value": "x"}, 400),
        ({"op": "add", "path": "/a"}, 400),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403),
        ({"op": "remove", "path": "/tags/7"}, 409),
    ],
)
def test_a_patch_that_may_not_be_is_refused(mine: Client, step: dict[str, Any], status: int) -> None:
    assert mine.patch(mine.active(), step).status_code == status


def test_a_patch_needs_its_own_media_type(mine: Client) -> None:
    answer = mine.patch(mine.create(), media_type="application/json")
    assert answer.status_code == 415
    assert "The request media type application/json is not supported by this server." in answer.text


def test_the_old_media_type_of_patches_is_read_too(mine: Client) -> None:
    old = "application/openstack-images-v2.0-json-patch"
    answer = mine.patch(mine.create(), {"replace": "/name", "value": "new"}, media_type=old)
    assert answer.json()["name"] == "new"


def test_tags_come_and_go_one_by_one(mine: Client) -> None:
    image_id = mine.create()
    for _ in range(2):
        assert mine("PUT", f"/v2/images/{image_id}/tags/t1").status_code == 204
    assert mine("GET", f"/v2/images/{image_id}").json()["tags"] == ["t1"]
    assert mine("DELETE", f"/v2/images/{image_id}/tags/t1").status_code == 204
    assert mine("DELETE", f"/v2/images/{image_id}/tags/t1").status_code == 404


def test_a_list_is_filtered(mine: Client, clock: VirtualClock) -> None:
    mine.active(name="one", tags=["a", "b"], kind="x")
    clock.advance(timedelta(seconds=1))
    mine.create(name="two", min_ram=512)
    ids = [image["id"] for image in mine("GET", "/v2/images").json()["images"]]
    assert mine.listed() == ["two", "one"]
    assert mine.listed("?name=one") == ["one"]
    assert mine.listed('?name=in:"one",nope') == ["one"]
    assert mine.listed("?status=queued") == ["two"]
    assert mine.listed("?tag=a&tag=b") == ["one"]
    assert mine.listed("?tag=a&tag=c") == []
    assert mine.listed("?kind=x") == ["one"]
    assert mine.listed("?min_ram=512") == ["two"]
    assert mine.listed("?size_min=1") == ["one"]
    assert mine.listed(f"?id=in:{ids[0]}") == ["two"]
    assert mine.listed("?created_at=gt:2020-01-01T00:00:00Z&sort=name:asc") == ["one", "two"]
    assert mine.listed("?sort_key=name&sort_dir=desc") == ["two", "one"]
    assert mine.listed("?visibility=private") == []
    assert mine.listed("?protected=true") == []


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=x", "sort=colour", "sort_key=name&sort_dir=up", "visibility=odd", "marker=nope",
     "member_status=x", "protected=maybe", "size_min=x", "created_at=gt:yesterday", 'name=in:"open'],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused(mine: Client, query: str) -> None:
    assert mine("GET", f"/v2/images?{query}").status_code == 400


def test_a_long_list_is_followed_by_its_links(mine: Client) -> None:
    for number in range(3):
        mine.create(name=f"n{number}")
    page = mine("GET", "/v2/images?limit=2&sort=name:asc").json()
    assert [image["name"] for image in page["images"]] == ["n0", "n1"]
    assert page["first"] == "/v2/images?limit=2&sort=name%3Aasc"
    last = mine("GET", page["next"]).json()
    assert [image["name"] for image in last["images"]] == ["n2"]
    assert "next" not in last


def test_an_image_is_shared_and_accepted(mine: Client, theirs: Client) -> None:
    image_id = mine.active()
    member = f"/v2/images/{image_id}/members/{theirs.project_id}"
    offered = mine("POST", f"/v2/images/{image_id}/members", json={"member": theirs.project_id})
    assert offered.status_code == 200
    assert offered.json()["status"] == "pending"
    assert theirs.listed() == []
    assert theirs.listed("?member_status=pending&visibility=shared") == ["base"]
    assert theirs("PUT", member, json={"status": "accepted"}).json()["status"] == "accepted"
    assert theirs.listed() == ["base"]
    assert theirs("GET", f"/v2/images/{image_id}/file").content == CONTENT
    assert [m["member_id"] for m in mine("GET", f"/v2/images/{image_id}/members").json()["members"]] == [
        theirs.project_id
    ]
    assert theirs("DELETE", f"/v2/images/{image_id}").status_code == 403
    assert mine("DELETE", member).status_code == 204
    assert mine("GET", member).status_code == 404
    assert theirs("GET", f"/v2/images/{image_id}").status_code == 404


def test_a_withdrawn_image_is_not_downloaded(mine: Client) -> None:
    image_id = mine.active()
    assert mine("POST", f"/v2/images/{image_id}/actions/deactivate").status_code == 204
    assert mine("GET", f"/v2/images/{image_id}").json()["status"] == "deactivated"
    assert mine("GET", f"/v2/images/{image_id}/file").status_code == 403
    assert mine("POST", f"/v2/images/{image_id}/actions/reactivate").status_code == 204
    assert mine("GET", f"/v2/images/{image_id}/file").status_code == 200


def test_a_protected_image_stays(mine: Client) -> None:
    image_id = mine.active(protected=True)
    answer = mine("DELETE", f"/v2/images/{image_id}")
    assert answer.status_code == 403
    assert f"Image {image_id} is protected and cannot be deleted." in answer.text


def test_a_deleted_image_is_gone(mine: Client) -> None:
    image_id = mine.active()
    assert mine("DELETE", f"/v2/images/{image_id}").status_code == 204
    assert mine("GET", f"/v2/images/{image_id}").status_code == 404


def test_the_schemas_have_the_formats_that_are_taken(mine: Client) -> None:
    schema = mine("GET", "/v2/schemas/image").json()
    assert schema["properties"]["disk_format"]["enum"] == [
        None, "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop",
    ]  # fmt: skip
    assert mine("GET", "/v2/schemas/images").json()["properties"]["images"]["items"] == schema
    for name in ("member", "members", "task", "tasks"):
        assert mine("GET", f"/v2/schemas/{name}").json()["name"] == name
    assert mine("GET", "/v2/info/stores").json() == {"stores": [{"id": "file", "default": "true"}]}
    assert mine("GET", "/v2/info/import").json()["import-methods"]["value"] == ["glance-direct"]
    assert mine("GET", "/v2/nothing").status_code == 404
