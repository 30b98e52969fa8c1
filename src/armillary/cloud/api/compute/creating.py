"""POST /servers: a wish for servers, read by microversion."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid
from armillary.cloud.access import allow_administering
from armillary.cloud.api.compute import views
from armillary.cloud.api.compute.deps import BaseUrl, Compute, Version
from armillary.cloud.api.compute.faults import only
from armillary.cloud.api.compute.server_bodies import Card, CreateServer, Device, ServerIn
from armillary.cloud.api.shared import Caller, RequestId
from armillary.cloud.compute.creation import NewServers
from armillary.cloud.compute.listing import HOST
from armillary.cloud.core.block_devices import DeviceWish

router = APIRouter()

_LATER = {
    "description": 19, "tags": 52, "trusted_image_certificates": 63, "host": 74, "hypervisor_hostname": 74,
    "hostname": 90,
}  # fmt: skip
_LAST_FILES = 56
_NETWORKS_NEEDED = 37
_VOLUME_TYPE = 67


@router.post("/servers")
def create_server(
    body: CreateServer,
    who: Caller,
    compute: Compute,
    base_url: BaseUrl,
    version: Version,
    request_id: RequestId,
) -> Response:
    asked = body.server
    _check_version(asked, version)
    _check_host(asked, who)
    admin_pass = asked.admin_pass or new_password()
    hints = body.hints or body.older_hints
    wanted = _wanted(asked, group_id=hints.group if hints else None, admin_pass=admin_pass)
    servers = compute.create(who, wanted, request_id=request_id)
    first = servers[0]
    if asked.return_reservation_id:
        return JSONResponse({"reservation_id": first.reservation_id}, 202)
    links = views.links(base_url, "servers", first.id)
    groups = [group.name for group in asked.security_groups or ()] or ["default"]
    answer = {
        "id": first.id,
        "links": links,
        "OS-DCF:diskConfig": first.disk_config,
        "security_groups": [{"name": name} for name in groups],
        "adminPass": admin_pass,
    }
    return JSONResponse({"server": answer}, 202, headers={"Location": links[0]["href"]})


def new_password() -> str:
    """A password for a guest, as Nova makes one when none was asked for."""
    return secrets.token_urlsafe(9)


def _check_version(asked: ServerIn, version: int) -> None:
    only(asked, "server", _LATER, version)
    if version > _LAST_FILES and "personality" in asked.model_fields_set:
        raise unexpected("server", "personality")
    if version >= _NETWORKS_NEEDED and asked.networks is None:
        raise Invalid(
            f"Invalid input for field/attribute server. Value: {asked.name}. 'networks' is a required property",
            code="networks_needed",
            remedy="Say auto, none, or which.",
        )
    if version < _NETWORKS_NEEDED and isinstance(asked.networks, str):
        raise Invalid(
            f"Invalid input for field/attribute networks. Value: {asked.networks}. '{asked.networks}' is not of type "
            "'array'"
        )
    tags_of_disks = version == 32 or version >= 42
    for device in asked.block_device_mapping_v2:
        if device.tag is not None and not tags_of_disks:
            raise unexpected("block_device_mapping_v2", "tag")
        if device.volume_type is not None and version < _VOLUME_TYPE:
            raise unexpected("block_device_mapping_v2", "volume_type")
    tags_of_cards = 32 <= version <= 36 or version >= 42
    if not tags_of_cards and any(card.tag is not None for card in _cards(asked) or ()):
        raise unexpected("networks", "tag")


def unexpected(name: str, field: str) -> Invalid:
    """What Nova says of a property that this microversion does not have."""
    return Invalid(
        f"Invalid input for field/attribute {name}. Additional properties are not allowed ('{field}' was unexpected)",
        code="property_of_later_version",
    )


def _check_host(asked: ServerIn, who: Principal) -> None:
    zone, _, forced = (asked.availability_zone or "").partition(":")
    if asked.host or asked.hypervisor_hostname:
        allow_administering(who, "compute:servers:create:requested_destination")
    if forced:
        allow_administering(who, "os_compute_api:servers:create:forced_host")
    if forced and (asked.host or asked.hypervisor_hostname):
        raise Invalid(
            "One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are mutually "
            "exclusive."
        )
    named = {name for name in (asked.host, asked.hypervisor_hostname, *forced.split(":")) if name}
    for name in named - {HOST}:
        raise Invalid(f"Compute host {name} could not be found.", code="host_not_found")
    asked.availability_zone = zone or None


def _cards(asked: ServerIn) -> Sequence[Card] | None:
    return asked.networks if isinstance(asked.networks, list) else None


def _wanted(asked: ServerIn, *, group_id: str | None, admin_pass: str) -> NewServers:
    most = asked.max_count if asked.max_count is not None else asked.min_count
    if most < asked.min_count:
        raise Invalid("min_count must be <= max_count")
    if asked.block_device_mapping and asked.block_device_mapping_v2:
        raise Invalid("Using different block_device_mapping syntaxes is not allowed in the same request.")
    image_ref = (asked.image_ref or "").rstrip("/").rsplit("/", 1)[-1] or None
    devices = [_device(device) for device in asked.block_device_mapping_v2 if device.no_device is None]
    if asked.block_device_mapping:
        devices = _older_devices(asked.block_device_mapping, image_ref)
    return NewServers(
        name=asked.name.strip(),
        flavor_ref=asked.flavor_ref.rsplit("/", 1)[-1],
        image_ref=image_ref,
        devices=devices,
        key_name=asked.key_name,
        networks=_networks(asked),
        security_groups=[group.name for group in asked.security_groups or ()] or None,
        user_data=asked.user_data,
        metadata=asked.metadata,
        tags=asked.tags,
        description=asked.description,
        hostname=asked.hostname,
        config_drive=asked.config_drive is None or asked.config_drive,
        least=asked.min_count,
        most=most,
        admin_pass=admin_pass,
        files=[{"path": file.path, "contents": file.contents} for file in asked.personality],
        availability_zone=asked.availability_zone,
        group_id=group_id,
        access_ipv4=asked.access_ipv4 or None,
        access_ipv6=asked.access_ipv6 or None,
        disk_config=asked.disk_config,
        trusted_certs=asked.trusted_image_certificates or (),
    )


def _networks(asked: ServerIn) -> list[dict[str, str]] | None:
    """Wishes; None: whatever the project has, which is also what an empty list means."""
    if asked.networks == "none":
        return []
    cards = _cards(asked)
    if not cards:
        return None
    for card in cards:
        if card.port is None and not card.uuid:
            raise Invalid(f"Bad networks format: network uuid is not in proper format ({card.uuid or ''})")
        if card.port is not None and card.fixed_ip is not None:
            raise Invalid(
                f"Specified Fixed IP '{card.fixed_ip}' cannot be used with port '{card.port}': the two cannot be "
                "specified together."
            )
    return [card.model_dump(exclude_none=True) for card in cards]


def _device(device: Device) -> DeviceWish:
    source, destination = device.source_type, device.destination_type
    if source is None:
        raise Invalid("Block Device Mapping is Invalid: Some required fields are missing")
    by_kind = {"image": device.image_id, "volume": device.volume_id, "snapshot": device.snapshot_id}
    return DeviceWish(
        source_type=source,
        destination_type=destination or ("volume" if source in {"volume", "snapshot"} else "local"),
        source_id=device.uuid or by_kind.get(source),
        boot_index=device.boot_index,
        size=device.volume_size or None,
        delete_on_termination=device.delete_on_termination,
        device_name=device.device_name,
        guest_format=device.guest_format,
        volume_type=device.volume_type,
        tag=device.tag,
    )


def _older_devices(devices: Sequence[Device], image_ref: str | None) -> list[DeviceWish]:
    """`block_device_mapping` as it was before: the root is the image, or else the disk called vda."""
    found: list[DeviceWish] = []
    common: dict[str, Any]
    for device in devices:
        common = {"device_name": device.device_name, "size": device.volume_size or None}
        name = (device.virtual_name or "").lower()
        if name == "swap" or name.startswith("ephemeral"):
            guest_format = "swap" if name == "swap" else None
            found.append(
                DeviceWish(
                    source_type="blank", destination_type="local", guest_format=guest_format,
                    delete_on_termination=True, **common,
                )
            )  # fmt: skip
            continue
        if device.no_device is not None:
            continue
        kind = "snapshot" if device.snapshot_id else "volume"
        source = device.snapshot_id or device.volume_id
        if not source:
            raise Invalid("Block Device Mapping is Invalid: Unrecognized legacy format.")
        root = image_ref is None and (device.device_name or "").removeprefix("/dev/") == "vda"
        found.append(
            DeviceWish(
                source_type=kind, destination_type="volume", source_id=source, boot_index=0 if root else -1,
                delete_on_termination=device.delete_on_termination, **common,
            )
        )  # fmt: skip
    if image_ref is not None:
        image = DeviceWish(source_type="image", destination_type="local", source_id=image_ref, boot_index=0)
        found.insert(0, image)
    return found
