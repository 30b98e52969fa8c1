"""What Block Storage takes in its bodies, as JSON schemas after Cinder's."""

from __future__ import annotations

from typing import Any

from armillary.cloud.volumes.model import BackupStatus, SnapshotStatus, VolumeStatus

JSON = dict[str, Any]

_MOST = 2147483647
TEXT: JSON = {"type": ["string", "null"], "minLength": 0, "maxLength": 255}
NAME: JSON = {"type": "string", "minLength": 1, "maxLength": 255}
UUID: JSON = {"type": "string", "format": "uuid"}
UUID_OR_NOTHING: JSON = {"type": ["string", "null"], "format": "uuid"}
SIZE: JSON = {"type": ["integer", "string"], "pattern": "^[0-9]+$", "minimum": 1, "maximum": _MOST}
BOOLEAN: JSON = {
    "type": ["boolean", "string"],
    "enum": [
        True, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "y", "t",
        False, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", "n", "f",
    ],
}  # fmt: skip
METADATA: JSON = {
    "type": "object",
    "patternProperties": {"^[a-zA-Z0-9-_:. /]{1,255}$": {"type": "string", "maxLength": 255}},
    "additionalProperties": False,
}
METADATA_OR_NOTHING: JSON = {**METADATA, "type": ["object", "null"]}
SPECS: JSON = {
    "type": "object",
    "patternProperties": {"^[a-zA-Z0-9-_:.]{1,255}$": TEXT},
    "additionalProperties": False,
}


def wrapped(name: str, inner: JSON, **others: JSON) -> JSON:
    """A body with one property that holds everything."""
    return {
        "type": "object",
        "properties": {name: inner, **others},
        "required": [name],
        "additionalProperties": False,
    }


def thing(*, required: tuple[str, ...] = (), open_: bool = False, **properties: JSON) -> JSON:
    """An object with these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": open_,
    }


_WORDS: JSON = {"type": ["string", "null"]}
"""How long these may be is said in other words; see `volumes.described`."""
_DESCRIBED: JSON = {
    "name": _WORDS,
    "description": _WORDS,
    "display_name": _WORDS,
    "display_description": _WORDS,
}
_VOLUME: JSON = {
    **_DESCRIBED,
    "volume_type": TEXT,
    "metadata": METADATA_OR_NOTHING,
    "snapshot_id": UUID_OR_NOTHING,
    "source_volid": UUID_OR_NOTHING,
    "consistencygroup_id": UUID_OR_NOTHING,
    "size": {**SIZE, "type": ["integer", "string", "null"]},
    "availability_zone": {"type": ["string", "null"], "minLength": 1, "maxLength": 255},
    "multiattach": {"type": ["boolean", "string", "null"]},
    "image_id": TEXT,
    "imageRef": TEXT,
}


def create_volume(version: int) -> JSON:
    """A new volume; later microversions know more, and from 3.53 on refuse what they do not know."""
    properties = dict(_VOLUME)
    if version >= 13:
        properties["group_id"] = TEXT
    if version >= 47:
        properties["backup_id"] = UUID_OR_NOTHING
    hints: JSON = {"type": ["object", "null"]}
    if version >= 53:
        properties["scheduler_hints"] = hints
    volume = thing(open_=version < 53, **properties)
    return wrapped("volume", volume, **{"OS-SCH-HNT:scheduler_hints": hints})


def update(kind: str, version: int) -> JSON:
    """A change of name, description or metadata of a volume, a snapshot or a backup."""
    inner: JSON = {
        "type": "object",
        "properties": {**_DESCRIBED, "metadata": METADATA},
        "additionalProperties": False,
    }
    if version >= 53:
        inner["anyOf"] = [{"required": [name]} for name in (*_DESCRIBED, "metadata")]
    return wrapped(kind, inner)


METADATA_BODY = wrapped("metadata", METADATA)
ITEM_BODY = wrapped("meta", {**METADATA, "maxProperties": 1})

CREATE_SNAPSHOT = wrapped(
    "snapshot",
    thing(
        required=("volume_id",),
        volume_id=UUID_OR_NOTHING,
        **_DESCRIBED,
        force={"type": ["boolean", "string", "null"], "enum": [*BOOLEAN["enum"], None]},
        metadata=METADATA_OR_NOTHING,
    ),
)
CREATE_BACKUP = wrapped(
    "backup",
    thing(
        required=("volume_id",),
        volume_id=UUID,
        container=TEXT,
        description=_WORDS,
        incremental=BOOLEAN,
        force=BOOLEAN,
        name=_WORDS,
        snapshot_id=UUID_OR_NOTHING,
        metadata=METADATA_OR_NOTHING,
        availability_zone=TEXT,
    ),
)
RESTORE = wrapped("restore", thing(name=TEXT, volume_id=UUID_OR_NOTHING))
CREATE_TRANSFER = wrapped(
    "transfer", thing(required=("volume_id",), volume_id=UUID, name=TEXT, no_snapshots=BOOLEAN)
)
ACCEPT_TRANSFER = wrapped("accept", thing(required=("auth_key",), auth_key=NAME))
CREATE_TYPE = wrapped(
    "volume_type",
    {
        **thing(
            required=("name",),
            name=NAME,
            description=TEXT,
            extra_specs=SPECS,
        ),
        "properties": {
            "name": NAME,
            "description": TEXT,
            "extra_specs": SPECS,
            "os-volume-type-access:is_public": BOOLEAN,
        },
    },
)
UPDATE_TYPE = wrapped(
    "volume_type", thing(name={**NAME, "type": ["string", "null"]}, description=TEXT, is_public=BOOLEAN)
)
EXTRA_SPECS = wrapped("extra_specs", SPECS)
CREATE_QOS = wrapped("qos_specs", thing(required=("name",), open_=True, name=NAME))
SET_QOS = wrapped("qos_specs", {"type": "object"})
QUOTAS = wrapped(
    "quota_set",
    {
        "type": "object",
        "patternProperties": {
            "^[a-zA-Z0-9-_:. ]{1,300}$": {"type": ["integer", "string", "boolean"]},
        },
    },
)
DEFAULT_TYPE = wrapped("default_type", thing(required=("volume_type",), volume_type=NAME))
ATTACHMENT = wrapped(
    "attachment",
    thing(
        required=("volume_uuid",),
        volume_uuid=UUID,
        instance_uuid=UUID_OR_NOTHING,
        connector={"type": ["object", "null"]},
        mode={"type": ["string", "null"], "enum": ["rw", "ro", None, "null"]},
    ),
)
UPDATE_ATTACHMENT = wrapped("attachment", thing(required=("connector",), connector={"type": "object"}))

_STATUSES: dict[str, list[str]] = {
    "volumes": [status.value for status in VolumeStatus],
    "snapshots": [status.value for status in SnapshotStatus],
    "backups": [status.value for status in BackupStatus],
}
_ATTACH_STATUS: JSON = {"type": ["string", "null"], "enum": ["attached", "detached", None]}


def reset_status(collection: str) -> JSON:
    """A status that an administrator writes over another."""
    more: JSON = {}
    required = ("status",)
    if collection == "volumes":
        more = {"attach_status": _ATTACH_STATUS, "migration_status": TEXT}
        required = ()
    status: JSON = {"type": ["string", "null"], "enum": _STATUSES[collection]}
    return thing(required=required, status=status, **more)
