"""Block storage as JSON, field by field as each microversion has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request

from armillary.accounts.model import Principal
from armillary.cloud.api.volume.deps import JSON, links, stamp
from armillary.cloud.volumes.model import Attachment, Snapshot, Volume, VolumeStatus

HOST = "armillary@disk#disk"
"""Where every volume lies, in Cinder's form host@backend#pool."""
SERVICE_ID = "f0b9f0a5-2a65-5f5b-9f5a-6f1d1ad5a1d1"
_SHOWN = {VolumeStatus.MANAGING: "creating", VolumeStatus.ERROR_MANAGING: "error"}


def plain(item: Any, kind: str, request: Request) -> JSON:
    """What a short list shows of a thing."""
    return {"id": item.id, "name": item.name, "links": links(request, kind, item.id)}


def volume(
    item: Volume,
    *,
    request: Request,
    who: Principal,
    version: int,
    attachments: Sequence[Attachment],
    types: Mapping[str, str],
    extended: bool = True,
) -> JSON:
    """A volume in detail; `extended` with what Cinder adds wherever one is shown, not where one is changed."""
    as_admin = who.is_cloud_admin
    answer: JSON = {
        "id": item.id,
        "status": _SHOWN.get(item.status, item.status.value),
        "size": item.size,
        "availability_zone": item.availability_zone,
        "created_at": stamp(item.created_at),
        "updated_at": stamp(item.updated_at),
        "name": item.name,
        "description": item.description,
        "volume_type": types.get(item.volume_type_id),
        "snapshot_id": item.source.snapshot_id,
        "source_volid": item.source.volume_id,
        "metadata": _metadata(item),
        "links": links(request, "volumes", item.id),
        "user_id": item.user_id,
        "bootable": str(item.bootable).lower(),
        "encrypted": False,
        "replication_status": None,
        "consistencygroup_id": None,
        "multiattach": item.multiattach,
        "attachments": [
            _attached(attachment, as_admin) for attachment in attachments if attachment.status == "attached"
        ],
    }
    if as_admin:
        answer["migration_status"] = None
    if extended and as_admin:
        answer["os-vol-host-attr:host"] = HOST if item.placed else None
        answer["os-vol-mig-status-attr:migstat"] = None
        answer["os-vol-mig-status-attr:name_id"] = None
    if extended:
        answer["os-vol-tenant-attr:tenant_id"] = item.project_id
    if extended and item.image_metadata:
        answer["volume_image_metadata"] = dict(item.image_metadata)
    if version >= 13:
        answer["group_id"] = item.group_id
    if as_admin and version >= 21:
        answer["provider_id"] = None
    if version >= 48:
        answer["shared_targets"] = not item.placed
        answer["service_uuid"] = SERVICE_ID if item.placed else None
    if as_admin and version >= 61:
        answer["cluster_name"] = None
    if version >= 63:
        answer["volume_type_id"] = item.volume_type_id
    if version >= 65:
        answer["consumes_quota"] = True
    return answer


def _metadata(item: Volume) -> dict[str, str]:
    """A volume's metadata, with the one item of the administrators' that Cinder shows there."""
    flag = {} if item.readonly is None else {"readonly": str(item.readonly)}
    return {**item.metadata, **flag}


def _attached(item: Attachment, as_admin: bool) -> JSON:
    return {
        "id": item.volume_id,
        "attachment_id": item.id,
        "volume_id": item.volume_id,
        "server_id": item.server_id,
        "host_name": item.host_name if as_admin else None,
        "device": item.device,
        "attached_at": stamp(item.attached_at),
    }


def snapshot(item: Snapshot, *, version: int, extended: bool = True) -> JSON:
    """A snapshot; `extended` with what Cinder adds to all but short lists and creation."""
    answer: JSON = {
        "id": item.id,
        "created_at": stamp(item.created_at),
        "updated_at": stamp(item.updated_at),
        "name": item.name,
        "description": item.description,
        "volume_id": item.volume_id,
        "status": item.status.value,
        "size": item.size,
        "metadata": dict(item.metadata),
    }
    if extended:
        done = item.status.value in {"available", "backing-up", "deleting", "restoring"}
        answer["os-extended-snapshot-attributes:progress"] = "100%" if done else "0%"
        answer["os-extended-snapshot-attributes:project_id"] = item.project_id
    if version >= 14:
        answer["group_snapshot_id"] = item.group_snapshot_id
    if version >= 41:
        answer["user_id"] = item.user_id
    if version >= 65:
        answer["consumes_quota"] = True
    return answer
