"""Block Storage's rows: what Cinder 21 allows to whom, with its new defaults (a reader never writes)."""

from __future__ import annotations

from armillary.cloud.api.policy.rows import ADMIN, ANYONE, MEMBER, READER, USER, Least, Row

_V3 = "/v3/{project_id}"
_VOLUME = _V3 + "/volumes/{volume_id}"
_SNAPSHOT = _V3 + "/snapshots/{snapshot_id}"
_X = "volume_extension:"


def _act(action: str, rule: str, says: str, least: Least = MEMBER) -> Row:
    foreign = 404 if least is MEMBER else 0
    return Row("POST", _VOLUME + "/action", rule, least, says, action=action, foreign=foreign)


def _act_on_snapshot(action: str, rule: str, says: str) -> Row:
    return Row("POST", _SNAPSHOT + "/action", rule, ADMIN, says, action=action)


# one row a line: the table is read across
# fmt: off
ROWS = (
    Row("GET", "/", "", ANYONE, "the versions of the service"),
    Row("GET", "/v3", "", USER, "the version with its microversions; the real one wants a token for it too"),

    Row("GET", _V3 + "/volumes", "volume:get_all", READER, "list volumes"),
    Row("GET", _V3 + "/volumes/detail", "volume:get_all", READER, "list volumes in detail"),
    Row("GET", _V3 + "/volumes/summary", "volume:get_all", READER, "number and size of all volumes"),
    Row("POST", _V3 + "/volumes", "volume:create", MEMBER, "make a volume", project=True),
    Row("GET", _VOLUME, "volume:get", READER, "show a volume", foreign=404),
    Row("PUT", _VOLUME, "volume:update", MEMBER, "rename a volume", foreign=404),
    Row("DELETE", _VOLUME, "volume:delete", MEMBER, "delete a volume; by force only administrators", foreign=404),
    Row("GET", _VOLUME + "/metadata", "volume:get_volume_metadata", READER, "list a volume's metadata", foreign=404),
    Row("POST", _VOLUME + "/metadata", "volume:create_volume_metadata", MEMBER, "add metadata", foreign=404),
    Row("PUT", _VOLUME + "/metadata", "volume:update_volume_metadata", MEMBER, "replace all metadata", foreign=404),
    Row("GET", _VOLUME + "/metadata/{key}", "volume:get_volume_metadata", READER, "show an item of metadata", foreign=404),
    Row("PUT", _VOLUME + "/metadata/{key}", "volume:update_volume_metadata", MEMBER, "set an item of metadata", foreign=404),
    Row("DELETE", _VOLUME + "/metadata/{key}", "volume:delete_volume_metadata", MEMBER, "delete an item of metadata", foreign=404),
    Row("GET", _VOLUME + "/encryption", _X + "volume_encryption_metadata", READER, "how a volume is encrypted: not at all", foreign=404),
    Row("GET", _VOLUME + "/encryption/{key}", _X + "volume_encryption_metadata", READER, "how a volume is encrypted: not at all", foreign=404),

    _act("os-extend", "volume:extend", "make a volume larger"),
    _act("os-retype", "volume:retype", "give a volume another type"),
    _act("os-set_bootable", "volume:update", "say whether servers may boot from a volume"),
    _act("os-update_readonly_flag", "volume:update_readonly_flag", "say whether servers may write to a volume"),
    _act("os-set_image_metadata", _X + "volume_image_metadata:set", "set image properties of a volume"),
    _act("os-show_image_metadata", _X + "volume_image_metadata:show", "show image properties of a volume", READER),
    _act("os-unset_image_metadata", _X + "volume_image_metadata:remove", "remove an image property of a volume"),
    _act("os-volume_upload_image", _X + "volume_actions:upload_image", "copy a volume to an image"),
    _act("revert", "volume:revert_to_snapshot", "give a volume the bytes of its latest snapshot back"),
    _act("os-reserve", _X + "volume_actions:reserve", "mark a volume as about to be attached"),
    _act("os-unreserve", _X + "volume_actions:unreserve", "take that mark away"),
    _act("os-attach", _X + "volume_actions:attach", "record that somebody has a volume"),
    _act("os-detach", _X + "volume_actions:detach", "record that nobody has it any more"),
    _act("os-begin_detaching", _X + "volume_actions:begin_detaching", "mark a volume as about to be detached"),
    _act("os-roll_detaching", _X + "volume_actions:roll_detaching", "take that mark away"),
    _act("os-initialize_connection", _X + "volume_actions:initialize_connection", "ask how to reach a volume over a network: not here"),
    _act("os-terminate_connection", _X + "volume_actions:terminate_connection", "end such a connection"),
    _act("os-reset_status", _X + "volume_admin_actions:reset_status", "write another status over a volume's", ADMIN),
    _act("os-force_delete", _X + "volume_admin_actions:force_delete", "delete a volume whatever its status", ADMIN),
    _act("os-force_detach", _X + "volume_admin_actions:force_detach", "record that nobody has a volume any more", ADMIN),
    _act("os-migrate_volume", _X + "volume_admin_actions:migrate_volume", "move a volume to another disk: there is none", ADMIN),
    _act("os-migrate_volume_completion", _X + "volume_admin_actions:migrate_volume_completion", "end such a move", ADMIN),

    Row("GET", _V3 + "/snapshots", "volume:get_all_snapshots", READER, "list snapshots"),
    Row("GET", _V3 + "/snapshots/detail", "volume:get_all_snapshots", READER, "list snapshots in detail"),
    Row("POST", _V3 + "/snapshots", "volume:create_snapshot", MEMBER, "take a snapshot", project=True),
    Row("GET", _SNAPSHOT, "volume:get_snapshot", READER, "show a snapshot", foreign=404),
    Row("PUT", _SNAPSHOT, "volume:update_snapshot", MEMBER, "rename a snapshot", foreign=404),
    Row("DELETE", _SNAPSHOT, "volume:delete_snapshot", MEMBER, "delete a snapshot", foreign=404),
    Row("GET", _SNAPSHOT + "/metadata", "volume:get_snapshot_metadata", READER, "list a snapshot's metadata", foreign=404),
    Row("POST", _SNAPSHOT + "/metadata", "volume:update_snapshot_metadata", MEMBER, "add metadata", foreign=404),
    Row("PUT", _SNAPSHOT + "/metadata", "volume:update_snapshot_metadata", MEMBER, "replace all metadata", foreign=404),
    Row("GET", _SNAPSHOT + "/metadata/{key}", "volume:get_snapshot_metadata", READER, "show an item of metadata", foreign=404),
    Row("PUT", _SNAPSHOT + "/metadata/{key}", "volume:update_snapshot_metadata", MEMBER, "set an item of metadata", foreign=404),
    Row("DELETE", _SNAPSHOT + "/metadata/{key}", "volume:delete_snapshot_metadata", MEMBER, "delete an item of metadata", foreign=404),
    _act_on_snapshot("os-reset_status", _X + "snapshot_admin_actions:reset_status", "write another status over a snapshot's"),
    _act_on_snapshot("os-update_snapshot_status", "snapshot_extension:snapshot_actions:update_snapshot_status", "write another status over a snapshot's"),
    _act_on_snapshot("os-force_delete", _X + "snapshot_admin_actions:force_delete", "delete a snapshot whatever its status"),

    Row("GET", _V3 + "/limits", "limits_extension:used_limits", READER, "what the project may use, and uses"),
    Row("GET", _V3 + "/os-quota-sets/{wanted}", _X + "quotas:show", READER, "show a project's quotas"),
    Row("GET", _V3 + "/os-quota-sets/{wanted}/defaults", _X + "quotas:show", READER, "the quotas of a new project"),
    Row("PUT", _V3 + "/os-quota-sets/{wanted}", _X + "quotas:update", ADMIN, "change a project's quotas"),
    Row("DELETE", _V3 + "/os-quota-sets/{wanted}", _X + "quotas:delete", ADMIN, "return a project to the default quotas"),
    Row("GET", _V3 + "/os-quota-class-sets/{name}", _X + "quota_classes:get", ADMIN, "show the quotas of a class"),
    Row("PUT", _V3 + "/os-quota-class-sets/{name}", _X + "quota_classes:update", ADMIN, "change the quotas of a class: they follow from allocations"),
    Row("GET", _V3 + "/os-availability-zone", "volume:availability_zone_list", READER, "list availability zones"),
    Row("GET", _V3 + "/extensions", "", READER, "list extensions"),
    Row("GET", _V3 + "/extensions/{alias}", "", READER, "show an extension"),
    Row("GET", _V3 + "/os-services", _X + "services:index", ADMIN, "list the parts of the service"),
    Row("PUT", _V3 + "/os-services/{action}", _X + "services:update", ADMIN, "enable or disable a part: not here"),
    Row("GET", _V3 + "/scheduler-stats/get_pools", "scheduler_extension:scheduler_stats:get_pools", ADMIN, "how full the disk is"),
    Row("GET", _V3 + "/capabilities/{host}", _X + "capabilities", ADMIN, "what the disk can do"),
    Row("GET", _V3 + "/os-hosts", _X + "hosts", ADMIN, "list hosts"),
    Row("GET", _V3 + "/resource_filters", "", READER, "which filters lists know"),
    Row("GET", _V3 + "/clusters", "clusters:get_all", ADMIN, "list clusters: none"),
    Row("GET", _V3 + "/clusters/detail", "clusters:get_all", ADMIN, "list clusters: none"),
)
