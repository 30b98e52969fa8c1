"""The actions that answer with more than that they were accepted."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from armillary.cloud.api.compute import server_bodies as bodies
from armillary.cloud.api.compute import views
from armillary.cloud.api.compute.creating import new_password, unexpected
from armillary.cloud.api.compute.deps import sights
from armillary.cloud.api.compute.faults import only
from armillary.cloud.api.compute.told import ACCEPTED, Told
from armillary.cloud.compute.sizing import Rebuild

_LATER = {
    "description": 19, "key_name": 54, "user_data": 57, "trusted_image_certificates": 63, "hostname": 90,
}  # fmt: skip
_FIELDS = ("name", "metadata", "description", "user_data", "hostname", "disk_config")


def rebuild(told: Told) -> Response:
    """Make a server anew, and show it as it is going to be."""
    asked = told.read(bodies.Rebuild)
    only(asked, "rebuild", _LATER, told.version)
    if told.version > 56 and "personality" in asked.model_fields_set:
        raise unexpected("rebuild", "personality")
    given = asked.model_fields_set
    changes: dict[str, Any] = {name: getattr(asked, name) for name in _FIELDS if name in given}
    for name in ("access_ipv4", "access_ipv6"):
        if name in given:
            changes[name] = getattr(asked, name) or None
    if "trusted_image_certificates" in given:
        changes["trusted_certs"] = tuple(asked.trusted_image_certificates or ())
    password = asked.admin_pass or new_password()
    wanted = Rebuild(
        image_ref=asked.image_ref,
        admin_pass=password,
        preserve_ephemeral=asked.preserve_ephemeral,
        files=tuple({"path": file.path, "contents": file.contents} for file in asked.personality),
        changes=changes,
        key_name=asked.key_name,
        new_key="key_name" in given,
    )
    server = told.compute.sizing.rebuild(told.doing, wanted)
    sight = sights(told.compute, told.network, [server])[server.id]
    version, base_url = told.version, told.base_url
    if version >= 75:
        shown = views.full_server(
            server, sight, version=version, base_url=base_url, as_admin=told.who.is_cloud_admin, groups=True
        )
    else:
        shown = views.part_of_server(server, sight, version=version, base_url=base_url)
        if version >= 71:
            shown["server_groups"] = [server.group_id] if server.group_id else []
    if version >= 54:
        shown["key_name"] = server.key_name
    if version >= 57:
        shown["user_data"] = server.user_data
    shown["adminPass"] = password
    location = views.links(base_url, "servers", server.id)[0]["href"]
    return JSONResponse({"server": shown}, ACCEPTED, headers={"Location": location})


def create_image(told: Told) -> Response:
    """Begin a snapshot, and name its image."""
    asked = told.read(bodies.Snapshot)
    return _named(told, told.compute.imaging.snapshot(told.doing, asked.name, asked.metadata).id)


def create_backup(told: Told) -> Response:
    """Begin a backup, and name its image."""
    asked = told.read(bodies.Backup)
    image = told.compute.imaging.back_up(
        told.doing, asked.name, kind=asked.backup_type, rotation=asked.rotation, metadata=asked.metadata
    )
    return _named(told, image.id)


def _named(told: Told, image_id: str) -> Response:
    if told.version >= 45:
        return JSONResponse({"image_id": image_id}, ACCEPTED)
    image_url = f"{told.base_url.removesuffix('/compute')}/image/v2/images/{image_id}"
    return Response(status_code=ACCEPTED, headers={"Location": image_url})


def rescue(told: Told) -> Response:
    """Boot from a rescue image, and say the password of the rescue system."""
    asked = told.read(bodies.Rescue)
    password = asked.admin_pass or new_password()
    told.compute.acts.rescue(
        told.doing,
        image_ref=asked.rescue_image_ref,
        admin_pass=password,
        volume_backed_too=told.version >= 87,
    )
    return JSONResponse({"adminPass": password})


def console_output(told: Told) -> Response:
    """The end of what a server wrote on its serial console."""
    length = told.read(bodies.ConsoleOutput).length
    return JSONResponse({"output": told.compute.console(told.who, told.server_id, lines=length)})
