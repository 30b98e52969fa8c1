"""Images and members as JSON."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from starlette.responses import JSONResponse

from armillary.base.clock import to_iso
from armillary.cloud.images.model import Image, Member, Status, Task
from armillary.cloud.images.service import TASKS_KEPT

STORE = "file"


class GlanceJSON(JSONResponse):
    """JSON in ASCII, spaced as Glance's."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of `content`."""
        return json.dumps(content, ensure_ascii=True).encode()


def image_view(image: Image) -> dict[str, Any]:
    """Return an image as Image v2.15 shows it."""
    whole = image.status in (Status.ACTIVE, Status.DEACTIVATED)
    digest, checksum = (image.sha512, image.checksum) if whole else (None, None)
    view: dict[str, Any] = dict(image.properties)
    if image.fault:
        view["armillary_fault"] = image.fault
    view |= {
        "name": image.name,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "visibility": image.visibility.value,
        "size": image.size,
        "virtual_size": image.virtual_size if whole else None,
        "status": image.status.value,
        "checksum": checksum,
        "protected": image.protected,
        "min_ram": image.min_ram,
        "min_disk": image.min_disk,
        "owner": image.project_id,
        "os_hidden": image.os_hidden,
        "os_hash_algo": "sha512" if digest else None,
        "os_hash_value": digest,
        "id": image.id,
        "created_at": to_iso(image.created_at),
        "updated_at": to_iso(image.updated_at),
        "tags": list(image.tags),
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
    }
    if whole:
        view["stores"] = STORE
    return view


def task_view(task: Task) -> dict[str, Any]:
    """Return a task as Image v2 shows it."""
    moment = to_iso(task.created_at)
    return {
        "id": task.id,
        "type": "api_image_import",
        "status": "success",
        "owner": task.project_id,
        "user_id": task.person_id,
        "image_id": task.image_id,
        "request_id": task.request_id,
        "input": {
            "image_id": task.image_id,
            "import_req": {"method": {"name": task.method}},
            "backend": [STORE],
        },
        "result": {"image_id": task.image_id},
        "message": "",
        "created_at": moment,
        "updated_at": moment,
        "expires_at": to_iso(task.created_at + TASKS_KEPT),
        "self": f"/v2/tasks/{task.id}",
        "schema": "/v2/schemas/task",
    }


def member_view(member: Member) -> dict[str, Any]:
    """Return a member as Image v2 shows it."""

    def moment(value: datetime) -> str:
        return to_iso(value)

    return {
        "created_at": moment(member.created_at),
        "image_id": member.image_id,
        "member_id": member.member_id,
        "schema": "/v2/schemas/member",
        "status": member.status.value,
        "updated_at": moment(member.updated_at),
    }
