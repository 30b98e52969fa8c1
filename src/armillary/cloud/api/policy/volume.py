"""Block Storage's rows: what Cinder 21 allows to whom, with its new defaults (a reader never writes)."""

from __future__ import annotations

from armillary.cloud.api.policy.rows import ADMIN, ANYONE, MEMBER, READER, USER, Least, Row

_V3 = "/v3/{project_id}"
_VOLUME = _V3 + "/volumes/{volume_id}"
_SNAPSHOT = _V3 + "/snapshots/{snapshot_id}"
_BACKUP = _V3 + "/backups/{backup_id}"
_TYPE = _V3 + "/types/{type_id}"
_QOS = _V3 + "/qos-specs/{qos_id}"
_ATTACHMENT = _V3 + "/attachments/{attachment_id}"
_X = "volume_extension:"


def _act(action: str, rule: str, says: str, least: Least = MEMBER) -> Row:
    foreign = 404 if least is MEMBER else 0
    return Row("POST", _VOLUME + "/action", rule, least, says, action=action, foreign=foreign)


def _act_on_snapshot(action: str, rule: str, says: str) -> Row:
    return Row("POST", _SNAPSHOT + "/action", rule, ADMIN, says, action=action)


def _empty(collection: str, rule: str, least: Least, what: str) -> tuple[Row, ...]:
    """A collection in which nothing is, and nothing comes."""
    path = f"{_V3}/{collection}"
    more = MEMBER if least is READER else ADMIN
    return (
        Row("GET", path, f"{rule}:get_all", least, f"list {what}: none"),
        Row("GET", path + "/detail", f"{rule}:get_all", least, f"list {what}: none"),
        Row("GET", path + "/{item_id}", f"{rule}:get", least, f"show one of the {what}: none"),
        Row("POST", path, f"{rule}:create", more, f"make {what}: not here"),
    )


# one row a line: the table is read across
# fmt: off
ROWS = (
    Row("GET", "/", "", ANYONE, "the versions of the service", gives=(300,)),
    Row("GET", "/openapi.json", "", ANYONE, "this service as an OpenAPI document"),
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
    _act("os-reimage", _X + "volume_actions:reimage", "write an image over a volume"),
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

    Row("GET", _V3 + "/backups", "backup:get_all", READER, "list backups"),
    Row("GET", _V3 + "/backups/detail", "backup:get_all", READER, "list backups in detail"),
    Row("POST", _V3 + "/backups", "backup:create", MEMBER, "back a volume up", project=True),
    Row("GET", _BACKUP, "backup:get", READER, "show a backup", foreign=404),
    Row("PUT", _BACKUP, "backup:update", MEMBER, "rename a backup", foreign=404),
    Row("DELETE", _BACKUP, "backup:delete", MEMBER, "delete a backup", foreign=404),
    Row("POST", _BACKUP + "/restore", "backup:restore", MEMBER, "write a backup to a volume", foreign=404),
    Row("POST", _BACKUP + "/action", _X + "backup_admin_actions:reset_status", ADMIN, "write another status over a backup's", action="os-reset_status"),
    Row("POST", _BACKUP + "/action", _X + "backup_admin_actions:force_delete", ADMIN, "delete a backup whatever its status", action="os-force_delete"),
    Row("GET", _BACKUP + "/export_record", "backup:export-import", ADMIN, "take the record of a backup elsewhere: not here"),
    Row("POST", _V3 + "/backups/import_record", "backup:backup-import", ADMIN, "bring the record of a backup: not here"),

    Row("GET", _V3 + "/os-volume-transfer", "volume:get_all_transfers", READER, "list offers of volumes"),
    Row("GET", _V3 + "/os-volume-transfer/detail", "volume:get_all_transfers", READER, "list offers of volumes in detail"),
    Row("POST", _V3 + "/os-volume-transfer", "volume:create_transfer", MEMBER, "offer a volume", project=True),
    Row("GET", _V3 + "/os-volume-transfer/{transfer_id}", "volume:get_transfer", READER, "show an offer", foreign=404),
    Row("DELETE", _V3 + "/os-volume-transfer/{transfer_id}", "volume:delete_transfer", MEMBER, "withdraw an offer", foreign=404),
    Row("POST", _V3 + "/os-volume-transfer/{transfer_id}/accept", "volume:accept_transfer", MEMBER, "take an offered volume: the key is the right to it", project=True),

    Row("GET", _V3 + "/volume-transfers", "volume:get_all_transfers", READER, "list offers of volumes"),
    Row("GET", _V3 + "/volume-transfers/detail", "volume:get_all_transfers", READER, "list offers of volumes in detail"),
    Row("POST", _V3 + "/volume-transfers", "volume:create_transfer", MEMBER, "offer a volume", project=True),
    Row("GET", _V3 + "/volume-transfers/{transfer_id}", "volume:get_transfer", READER, "show an offer", foreign=404),
    Row("DELETE", _V3 + "/volume-transfers/{transfer_id}", "volume:delete_transfer", MEMBER, "withdraw an offer", foreign=404),
    Row("POST", _V3 + "/volume-transfers/{transfer_id}/accept", "volume:accept_transfer", MEMBER, "take an offered volume: the key is the right to it", project=True),

    Row("GET", _V3 + "/types", _X + "type_get_all", READER, "list volume types"),
    Row("POST", _V3 + "/types", _X + "type_create", ADMIN, "add a volume type"),
    Row("GET", _TYPE, _X + "type_get", READER, "show a volume type"),
    Row("PUT", _TYPE, _X + "type_update", ADMIN, "change a volume type"),
    Row("DELETE", _TYPE, _X + "type_delete", ADMIN, "delete a volume type"),
    Row("GET", _TYPE + "/extra_specs", _X + "types_extra_specs:index", READER, "list a type's extra specs; most only for administrators"),
    Row("POST", _TYPE + "/extra_specs", _X + "types_extra_specs:create", ADMIN, "add extra specs"),
    Row("GET", _TYPE + "/extra_specs/{key}", _X + "types_extra_specs:show", READER, "show an extra spec"),
    Row("PUT", _TYPE + "/extra_specs/{key}", _X + "types_extra_specs:update", ADMIN, "set an extra spec"),
    Row("DELETE", _TYPE + "/extra_specs/{key}", _X + "types_extra_specs:delete", ADMIN, "delete an extra spec"),
    Row("GET", _TYPE + "/os-volume-type-access", _X + "volume_type_access:get_all_for_type", ADMIN, "which projects may use a private type"),
    Row("POST", _TYPE + "/action", _X + "volume_type_access:addProjectAccess", ADMIN, "let a project use a private type", action="addProjectAccess"),
    Row("POST", _TYPE + "/action", _X + "volume_type_access:removeProjectAccess", ADMIN, "take a private type from a project", action="removeProjectAccess"),
    Row("GET", _TYPE + "/encryption", _X + "volume_type_encryption:get", ADMIN, "how a type is encrypted: not at all"),
    Row("GET", _TYPE + "/encryption/{key}", _X + "volume_type_encryption:get", ADMIN, "how a type is encrypted: not at all"),
    Row("POST", _TYPE + "/encryption", _X + "volume_type_encryption:create", ADMIN, "encrypt a type: not here"),
    Row("GET", _V3 + "/default-types", _X + "default_get_all", ADMIN, "list the types that projects get"),
    Row("GET", _V3 + "/default-types/{wanted}", _X + "default_get", ADMIN, "show the type that a project gets"),
    Row("PUT", _V3 + "/default-types/{wanted}", _X + "default_set_or_update", ADMIN, "choose the type that a project gets"),
    Row("DELETE", _V3 + "/default-types/{wanted}", _X + "default_unset", ADMIN, "let a project have the general type"),

    Row("GET", _V3 + "/qos-specs", _X + "qos_specs_manage:get_all", ADMIN, "list QoS specs"),
    Row("POST", _V3 + "/qos-specs", _X + "qos_specs_manage:create", ADMIN, "add QoS specs"),
    Row("GET", _QOS, _X + "qos_specs_manage:get", ADMIN, "show QoS specs"),
    Row("PUT", _QOS, _X + "qos_specs_manage:update", ADMIN, "set items of QoS specs"),
    Row("PUT", _QOS + "/delete_keys", _X + "qos_specs_manage:delete", ADMIN, "remove items of QoS specs"),
    Row("DELETE", _QOS, _X + "qos_specs_manage:delete", ADMIN, "delete QoS specs"),
    Row("GET", _QOS + "/associations", _X + "qos_specs_manage:get_all", ADMIN, "which types have these specs"),
    Row("GET", _QOS + "/associate", _X + "qos_specs_manage:update", ADMIN, "give specs to a type"),
    Row("GET", _QOS + "/disassociate", _X + "qos_specs_manage:update", ADMIN, "take specs from a type"),
    Row("GET", _QOS + "/disassociate_all", _X + "qos_specs_manage:update", ADMIN, "take specs from all types"),

    Row("GET", _V3 + "/attachments", "volume:attachment_get_all", READER, "list attachments"),
    Row("GET", _V3 + "/attachments/detail", "volume:attachment_get_all", READER, "list attachments in detail"),
    Row("POST", _V3 + "/attachments", "volume:attachment_create", MEMBER, "reserve a volume", project=True),
    Row("GET", _ATTACHMENT, "volume:attachment_get", READER, "show an attachment", foreign=404),
    Row("PUT", _ATTACHMENT, "volume:attachment_update", MEMBER, "connect an attachment: not over a network here", foreign=404),
    Row("DELETE", _ATTACHMENT, "volume:attachment_delete", MEMBER, "end an attachment that no server stands behind", foreign=404),
    Row("POST", _ATTACHMENT + "/action", "volume:attachment_complete", MEMBER, "complete an attachment: not over a network here", action="os-complete", foreign=404),

    Row("GET", _V3 + "/messages", "message:get_all", READER, "list messages about what failed"),
    Row("GET", _V3 + "/messages/{message_id}", "message:get", READER, "show a message", foreign=404),
    Row("DELETE", _V3 + "/messages/{message_id}", "message:delete", MEMBER, "delete a message", foreign=404),

    *_empty("consistencygroups", "consistencygroup", READER, "consistency groups"),
    *_empty("cgsnapshots", "consistencygroup", READER, "snapshots of consistency groups"),
    *_empty("group_types", "group:group_types", READER, "types of groups"),
    *_empty("groups", "group", READER, "groups of volumes"),
    *_empty("group_snapshots", "group:group_snapshot", READER, "snapshots of groups"),
    *_empty("manageable_volumes", "volume_extension:list_manageable", ADMIN, "files that could become volumes"),
    *_empty("manageable_snapshots", "snapshot_extension:list_manageable", ADMIN, "files that could become snapshots"),

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
