"""Image's rows: what Glance 25 allows to whom, with its new defaults (a reader never writes)."""

from __future__ import annotations

from armillary.cloud.api.policy.rows import ADMIN, ANYONE, MEMBER, READER, USER, Row

_IMAGE = "/v2/images/{image_id}"

# one row a line: the table is read across
# fmt: off
ROWS = (
    Row("GET", "/", "", ANYONE, "the versions of the service", gives=(300,)),
    Row("GET", "/openapi.json", "", ANYONE, "this service as an OpenAPI document"),
    Row("GET", "/versions", "", ANYONE, "the versions of the service"),
    Row("GET", "/v2/schemas/{name}", "", USER, "the JSON schemas of images and members"),
    Row("GET", "/v2/schemas/metadefs/{name}", "", USER, "the JSON schemas of metadata definitions"),
    Row("GET", "/v2/metadefs/namespaces", "get_metadef_namespaces", USER, "list metadata definitions: none"),
    Row("GET", "/v2/metadefs/resource_types", "list_metadef_resource_types", USER, "list what they are for: nothing"),
    Row("GET", "/v2/tasks", "tasks_api_access", ADMIN, "list tasks: imports that were done"),
    Row("GET", "/v2/tasks/{task_id}", "tasks_api_access", ADMIN, "show a task"),
    Row("GET", "/v2/info/usage", "", USER, "what of Keystone's limits is used: there are none"),
    Row("GET", "/v2/info/import", "", USER, "the ways to import images"),
    Row("GET", "/v2/info/stores", "", USER, "where images are kept"),

    Row("GET", "/v2/images", "get_images", READER, "list images"),
    Row("POST", "/v2/images", "add_image", MEMBER, "make an image", project=True),
    Row("GET", _IMAGE, "get_image", READER, "show an image", foreign=404),
    Row("PATCH", _IMAGE, "modify_image", MEMBER, "change an image", foreign=404, refuses=(415,)),
    Row("DELETE", _IMAGE, "delete_image", MEMBER, "delete an image", foreign=404),
    Row("PUT", _IMAGE + "/tags/{tag}", "modify_image", MEMBER, "add a tag", foreign=404),
    Row("DELETE", _IMAGE + "/tags/{tag}", "modify_image", MEMBER, "delete a tag", foreign=404),
    Row("POST", _IMAGE + "/actions/{action}", "deactivate", MEMBER, "deactivate or reactivate an image", foreign=404, gives=(204,)),
    Row("PUT", _IMAGE + "/file", "upload_image", MEMBER, "upload an image's bytes", foreign=404, refuses=(410, 415)),
    Row("GET", _IMAGE + "/file", "download_image", READER, "download an image's bytes", foreign=404, gives=(200, 204, 206), refuses=(416,), media_type="application/octet-stream"),
    Row("PUT", _IMAGE + "/stage", "modify_image", MEMBER, "upload bytes that wait to be imported", foreign=404, refuses=(410, 415)),
    Row("POST", _IMAGE + "/import", "modify_image", MEMBER, "import what waits", foreign=404, gives=(202,)),
    Row("GET", _IMAGE + "/tasks", "get_image", READER, "list the imports of an image", foreign=404),
    Row("GET", _IMAGE + "/members", "get_members", READER, "list whom an image is shared with", foreign=404),
    Row("POST", _IMAGE + "/members", "add_member", MEMBER, "share an image", foreign=404, gives=(200,)),
    Row("GET", _IMAGE + "/members/{member_id}", "get_member", READER, "show a member of an image", foreign=404),
    Row("PUT", _IMAGE + "/members/{member_id}", "modify_member", MEMBER, "accept or reject an image", foreign=404, gives=(200,)),
    Row("DELETE", _IMAGE + "/members/{member_id}", "delete_member", MEMBER, "share an image no longer", foreign=404),
    Row("*", "/{rest:path}", "", ANYONE, "what is not there"),
)
