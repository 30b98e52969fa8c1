"""Block Storage's rows: what Cinder 21 allows to whom, with its new defaults (a reader never writes)."""

from __future__ import annotations

from armillary.cloud.api.policy.rows import ANYONE, MEMBER, READER, Row

_V3 = "/v3/{project_id}"

# one row a line: the table is read across
# fmt: off
ROWS = (
    Row("GET", "/", "", ANYONE, "the versions of the service"),
    Row("GET", "/v3", "", ANYONE, "the version with its microversions"),

    Row("GET", _V3 + "/limits", "limits_extension:used_limits", READER, "what the project may use, and uses"),
    Row("GET", _V3 + "/os-quota-sets/{wanted}", "volume_extension:quotas:show", READER, "show a project's quotas"),
    Row("GET", _V3 + "/os-quota-sets/{wanted}/defaults", "volume_extension:quotas:show", READER, "the quotas of a new project"),
    Row("GET", _V3 + "/types", "volume_extension:type_get_all", READER, "list volume types"),
    Row("GET", _V3 + "/types/{type_id}", "volume_extension:type_get", READER, "show a volume type"),
    Row("GET", _V3 + "/os-availability-zone", "volume:availability_zone_list", READER, "list availability zones"),
    Row("GET", _V3 + "/extensions", "", READER, "list extensions"),
    Row("POST", _V3 + "/volumes", "volume:create", MEMBER, "make a volume", project=True),
    Row("GET", _V3 + "/{collection}", "volume:get_all", READER, "collections that are empty here"),
    Row("GET", _V3 + "/{collection}/detail", "volume:get_all", READER, "collections that are empty here"),
    Row("GET", _V3 + "/{collection}/{item_id}", "volume:get", READER, "things that are not here"),
)
