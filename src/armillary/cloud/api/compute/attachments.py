"""/servers/{id}/os-volume_attachments and /servers/{id}/os-interface: disks and cards of servers that are there."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.base.errors import Conflict, Invalid
from armillary.base.ids import VolumeId
from armillary.cloud.access import allow_administering
from armillary.cloud.api.compute.creating import unexpected
from armillary.cloud.api.compute.deps import Compute, Version
from armillary.cloud.api.compute.server_bodies import AttachInterface, AttachVolume, UpdateVolumeAttachment
from armillary.cloud.api.compute.told import ACCEPTED
from armillary.cloud.api.shared import Caller, RequestId, page_of, query_of
from armillary.cloud.compute.acting import Doing
from armillary.cloud.compute.attachments import Wish
from armillary.cloud.compute.model import BlockDevice, Server, VmState
from armillary.cloud.network.model import Port

router = APIRouter()

_SHELVED = frozenset({VmState.SHELVED, VmState.SHELVED_OFFLOADED})
_VOLUMES, _CARDS = "/servers/{server_id}/os-volume_attachments", "/servers/{server_id}/os-interface"


def _volume(device: BlockDevice, version: int, *, new: bool = False) -> dict[str, Any]:
    """A volume of a server; the answer to attaching it says its `id` in every version."""
    view: dict[str, Any] = {
        "serverId": device.server_id,
        "volumeId": device.volume_id,
        "device": device.device_name,
    }
    if new or version < 89:
        view["id"] = device.volume_id
    if version >= 70:
        view["tag"] = device.tag
    if version >= 79:
        view["delete_on_termination"] = device.delete_on_termination
    if version >= 89 and not new:
        view |= {"attachment_id": device.attachment_id, "bdm_uuid": device.id}
    return view


@router.get(_VOLUMES)
def list_volumes(
    server_id: str, request: Request, who: Caller, compute: Compute, version: Version
) -> dict[str, Any]:
    found = compute.attachments.list(who, server_id)
    query = query_of(request.query_params)
    offset = query.get("offset", "0")
    if not offset.isdigit():
        raise Invalid(f"Invalid input for query parameters offset. Value: {offset}. It is not a whole number")
    query.pop("marker", None)
    page, _ = page_of(found[int(offset) :], query, identify=lambda device: device.id)
    return {"volumeAttachments": [_volume(device, version) for device in page]}


@router.get(_VOLUMES + "/{volume_id}")
def show_volume(
    server_id: str, volume_id: str, who: Caller, compute: Compute, version: Version
) -> dict[str, Any]:
    return {"volumeAttachment": _volume(compute.attachments.get(who, server_id, volume_id), version)}


@router.post(_VOLUMES)
def attach_volume(
    server_id: str, body: AttachVolume, who: Caller, compute: Compute, version: Version, request_id: RequestId
) -> dict[str, Any]:
    asked = body.volume_attachment
    for name, needed in (("tag", 49), ("delete_on_termination", 79)):
        if name in asked.model_fields_set and version < needed:
            raise unexpected("volumeAttachment", name)
    _check_shelved(compute.get(who, server_id), "attach_volume", version)
    wish = Wish(
        volume_id=VolumeId(asked.volume_id),
        device=asked.device,
        tag=asked.tag,
        delete_on_termination=asked.delete_on_termination,
    )
    device = compute.attachments.attach(
        Doing(principal=who, server_id=server_id, request_id=request_id), wish
    )
    return {"volumeAttachment": _volume(device, version, new=True)}


def _check_shelved(server: Server, action: str, version: int) -> None:
    if server.vm_state in _SHELVED and version < 20:
        raise Conflict(
            f"Cannot '{action}' instance {server.id} while it is in vm_state {server.vm_state.value}",
            code="instance_invalid_state",
        )


@router.put(_VOLUMES + "/{volume_id}", status_code=ACCEPTED)
def update_volume(
    server_id: str, volume_id: str, body: UpdateVolumeAttachment, who: Caller, compute: Compute, version: Version,
    request_id: RequestId,
) -> Response:  # fmt: skip
    doing = Doing(principal=who, server_id=server_id, request_id=request_id)
    asked = body.volume_attachment
    device = compute.attachments.get(who, server_id, volume_id)
    if version >= 85:
        kept = {"id": volume_id, "server_id": server_id, "device": device.device_name, "tag": device.tag}
        spoken = {"server_id": "serverId"}
        for name, value in kept.items():
            if name in asked.model_fields_set and getattr(asked, name) != value:
                raise Invalid(f"The {spoken.get(name, name)} property is not mutable")
        if "delete_on_termination" in asked.model_fields_set:
            changes = {"delete_on_termination": asked.delete_on_termination}
            compute.attachments.update(doing, volume_id, changes)
    elif len(asked.model_fields_set) > 1:
        raise unexpected("volumeAttachment", min(asked.model_fields_set - {"volume_id"}))
    if version < 85 or asked.volume_id != volume_id:
        allow_administering(who, "os_compute_api:os-volumes-attachments:swap")
        compute.attachments.check_swap(doing, volume_id, asked.volume_id)
    return Response(status_code=ACCEPTED)


@router.delete(_VOLUMES + "/{volume_id}", status_code=ACCEPTED)
def detach_volume(
    server_id: str, volume_id: str, who: Caller, compute: Compute, version: Version, request_id: RequestId
) -> Response:
    _check_shelved(compute.get(who, server_id), "detach_volume", version)
    compute.attachments.detach(Doing(principal=who, server_id=server_id, request_id=request_id), volume_id)
    return Response(status_code=ACCEPTED)


def _card(port: Port, tag: str | None, version: int) -> dict[str, Any]:
    view: dict[str, Any] = {
        "net_id": port.network_id,
        "port_id": port.id,
        "mac_addr": port.mac_address,
        "port_state": "ACTIVE" if port.admin_state_up else "DOWN",
        "fixed_ips": [{"subnet_id": f.subnet_id, "ip_address": f.ip_address} for f in port.fixed_ips],
    }
    return view | ({"tag": tag} if version >= 70 else {})


@router.get(_CARDS)
def list_interfaces(server_id: str, who: Caller, compute: Compute, version: Version) -> dict[str, Any]:
    found = compute.interfaces.list(who, server_id)
    return {"interfaceAttachments": [_card(port, tag, version) for port, tag in found]}


@router.get(_CARDS + "/{port_id}")
def show_interface(
    server_id: str, port_id: str, who: Caller, compute: Compute, version: Version
) -> dict[str, Any]:
    return {"interfaceAttachment": _card(*compute.interfaces.get(who, server_id, port_id), version)}


@router.post(_CARDS)
def attach_interface(
    server_id: str, who: Caller, compute: Compute, version: Version, request_id: RequestId,
    body: AttachInterface | None = None,
) -> dict[str, Any]:  # fmt: skip
    asked = (body or AttachInterface()).interface_attachment
    if asked.tag is not None and version < 49:
        raise unexpected("interfaceAttachment", "tag")
    if asked.net_id and asked.port_id:
        raise Invalid("Must not input both network_id and port_id")
    address = asked.fixed_ips[0].ip_address if asked.fixed_ips else None
    if address and not asked.net_id:
        raise Invalid("Must input network_id when request IP address")
    wish = {"port": asked.port_id, "uuid": asked.net_id, "fixed_ip": address}
    port, tag = compute.interfaces.attach(
        Doing(principal=who, server_id=server_id, request_id=request_id),
        {name: value for name, value in wish.items() if value},
        tag=asked.tag,
    )
    return {"interfaceAttachment": _card(port, tag, version)}


@router.delete(_CARDS + "/{port_id}", status_code=ACCEPTED)
def detach_interface(
    server_id: str, port_id: str, who: Caller, compute: Compute, request_id: RequestId
) -> Response:
    compute.interfaces.detach(Doing(principal=who, server_id=server_id, request_id=request_id), port_id)
    return Response(status_code=ACCEPTED)
