"""Importing, formats that nothing boots from, tasks, and what else stock clients ask of Image v2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armillary.accounts.model import Role
from armillary.accounts.service import AccountsService
from armillary.base.ids import ProjectId

if TYPE_CHECKING:
    from conftest import Client

CONTENT = bytes(range(256)) * 4
STREAM = {"Content-Type": "application/octet-stream"}
DIRECT = {"method": {"name": "glance-direct"}}


def stage(client: Client, image_id: str, content: bytes = CONTENT) -> Any:
    return client("PUT", f"/v2/images/{image_id}/stage", content=content, headers=STREAM)


def test_what_is_staged_waits_until_it_is_imported(mine: Client) -> None:
    image_id = mine.create()
    url = f"/v2/images/{image_id}"
    assert stage(mine, image_id).status_code == 204
    waiting = mine("GET", url).json()
    assert (waiting["status"], waiting["size"]) == ("uploading", len(CONTENT))
    assert waiting["checksum"] is None and waiting["os_hash_value"] is None
    assert mine("GET", f"{url}/file").status_code == 204
    again = stage(mine, image_id)
    assert again.status_code == 409
    assert "Image status transition from uploading to uploading is not allowed" in again.text
    taken = mine("POST", f"{url}/import", json=DIRECT)
    assert taken.status_code == 202
    (task,) = mine("GET", f"{url}/tasks").json()["tasks"]
    assert (task["status"], task["request_id"]) == ("success", taken.headers["x-openstack-request-id"])
    image = mine("GET", url).json()
    assert image["status"] == "active" and image["checksum"]
    assert mine("GET", f"{url}/file").content == CONTENT
    twice = mine("POST", f"{url}/import", json=DIRECT)
    assert twice.status_code == 409
    assert "Image with status active cannot be target for import" in twice.text


REFUSED_IMPORTS: list[tuple[Any, int, str]] = [
    (DIRECT, 409, "Image needs to be staged before"),
    ({}, 400, "Import request requires a &#x27;method&#x27; field."),
    ({"method": {}}, 400, "requires a &#x27;name&#x27; field"),
    ({"method": {"name": "nope"}}, 400, "Unknown import method name &#x27;nope&#x27;."),
    ({"method": {"name": "web-download", "uri": "http://x.test/"}}, 400, "upload it"),
    (DIRECT | {"stores": ["elsewhere"]}, 400, "only store"),
]


def test_an_import_that_cannot_be_is_refused(mine: Client) -> None:
    url = f"/v2/images/{mine.create()}/import"
    for body, status, words in REFUSED_IMPORTS:
        answer = mine("POST", url, json=body)
        assert (answer.status_code, words in answer.text) == (status, True), answer.text


def test_formats_that_nothing_boots_from_are_kept_and_given_back(mine: Client) -> None:
    for disk_format in ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "vdi", "iso", "ploop"):
        image_id = mine.create(disk_format=disk_format)
        assert mine.upload(image_id, CONTENT).status_code == 204
        image = mine("GET", f"/v2/images/{image_id}").json()
        assert (image["status"], image["disk_format"], image["virtual_size"]) == ("active", disk_format, None)
        assert mine("GET", f"/v2/images/{image_id}/file").content == CONTENT


def test_a_member_may_name_its_own_project_as_the_owner(mine: Client) -> None:
    image = mine("POST", "/v2/images", json={"owner": mine.project_id})
    assert (image.status_code, image.json()["owner"]) == (201, mine.project_id)


REFUSED_LISTS = [
    ("limit=-1", "limit param must be positive"),
    ("limit=x", "limit param must be an integer"),
    ("marker=nope", "No image found with ID nope"),
    ("sort_key=nope", "Invalid sort key: nope. It must be one of the following: name, status,"),
    ("sort_key=min_disk", "Invalid sort key: min_disk"),
    ("sort_dir=up", "Invalid sort direction: up"),
    ("sort=name:up", "Invalid sort direction: up"),
    ("sort=name&sort_key=size", "Old and new sorting syntax cannot be combined"),
    ("visibility=nope", "Invalid visibility value: nope"),
    ("member_status=nope", "Invalid status: nope"),
    ("size_min=x", "Unable to filter on a range with a non-numeric value."),
    ("created_at=gt:nope", "Use ISO 8601 DateTime notation."),
    ("created_at=nope:2020-01-01T00:00:00Z", "Unable to filter on a unknown operator."),
    ("os_hidden=x", "Valid values are"),
    ("protected=maybe", "Valid values are"),
    ("name=in:%22a", "The quote is not closed."),
]


def test_a_list_that_cannot_be_is_refused_in_glances_words(mine: Client) -> None:
    for query, words in REFUSED_LISTS:
        answer = mine("GET", f"/v2/images?{query}")
        assert (answer.status_code, words in answer.text) == (400, True), answer.text


def test_lists_are_filtered_sorted_and_paged(mine: Client) -> None:
    for name, tags in (("a", ["x"]), ("b", ["x", "y"]), ("c,d", [])):
        mine.create(name=name, tags=tags)

    def names(query: str) -> list[str]:
        return [image["name"] for image in mine("GET", f"/v2/images?{query}").json()["images"]]

    assert names('name=in:a,"c,d"&sort=name') == ["c,d", "a"]
    assert names("tag=x&tag=y") == ["b"]
    assert names("sort_key=name&sort_key=size&sort_dir=asc") == ["a", "b", "c,d"]
    assert names("created_at=gt:2030-01-01T00:00:00Z") == []
    assert names("size_min=1") == [] and names("status=queued&sort=name:asc&limit=1") == ["a"]
    assert names("nonsense=1") == [] and names("limit=0") == []
    first = mine("GET", "/v2/images?sort=name:asc&limit=2").json()
    assert first["first"] == "/v2/images?sort=name%3Aasc&limit=2"
    rest = mine("GET", first["next"]).json()
    assert [image["name"] for image in rest["images"]] == ["c,d"] and "next" not in rest


def test_an_image_without_an_id_is_not_there(mine: Client) -> None:
    assert [mine(method, "/v2/images/").status_code for method in ("GET", "DELETE")] == [404, 404]


def test_tasks_are_for_administrators(mine: Client, accounts: AccountsService) -> None:
    refused = mine("GET", "/v2/tasks")
    assert refused.status_code == 403
    assert "You are not authorized to complete tasks_api_access action." in refused.text
    assert mine("GET", f"/v2/images/{mine.create()}/tasks").json() == {"tasks": []}
    image_id = mine.create()
    stage(mine, image_id)
    mine("POST", f"/v2/images/{image_id}/import", json=DIRECT)
    ada = accounts.person_named("ada")
    accounts.grant(ProjectId(mine.project_id), ada.id, Role.CLOUD_ADMIN)
    (task,) = mine("GET", "/v2/tasks").json()["tasks"]
    assert (task["image_id"], task["user_id"]) == (image_id, ada.id)
    assert mine("GET", f"/v2/tasks/{task['id']}").json() == task
    assert mine("GET", "/v2/tasks/nope").status_code == 404


METADEFS = {
    "namespace": "namespace", "namespaces": "namespaces", "object": "object", "objects": "objects",
    "property": "property", "properties": "properties", "tag": "tag", "tags": "tags",
    "resource_type": "resource_type_association", "resource_types": "resource_type_associations",
}  # fmt: skip


def test_metadata_definitions_have_schemas_and_no_more(mine: Client) -> None:
    for kind, name in METADEFS.items():
        schema = mine("GET", f"/v2/schemas/metadefs/{kind}").json()
        assert schema["name"] == name and schema["properties"]
    assert mine("GET", "/v2/metadefs/namespaces").json()["namespaces"] == []
    for path in ("schemas/metadefs/nope", "schemas/metadefs/tagss", "metadefs/namespaces/x"):
        assert mine("GET", f"/v2/{path}").status_code == 404
