"""How compute shows its things, by microversion."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from armillary.base.clock import to_iso
from armillary.cloud.compute.listing import HOST
from armillary.cloud.compute.model import BlockDevice, Flavor, InstanceAction, Keypair, Server, VmState
from armillary.cloud.core.metadata import AVAILABILITY_ZONE
from armillary.cloud.core.states import power_state_of, status_of
from armillary.cloud.network.sight import Nic

_IN_PROGRESS = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"})
_FAULTY = frozenset({VmState.ERROR, VmState.DELETED})


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") if moment else None


def links(base_url: str, kind: str, identifier: str) -> list[dict[str, str]]:
    """Self and bookmark."""
    return [
        {"rel": "self", "href": f"{base_url}/v2.1/{kind}/{identifier}"},
        {"rel": "bookmark", "href": f"{base_url}/{kind}/{identifier}"},
    ]


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What a server's view shows that is not in its record."""

    nics: Sequence[Nic] = ()
    volumes: Sequence[BlockDevice] = ()


_BARE = Sight()


@lru_cache(maxsize=1024)
def host_id(project_id: str) -> str:
    """The host as a project may know it."""
    return hashlib.sha224(f"{project_id}{HOST}".encode()).hexdigest()


def part_of_server(server: Server, sight: Sight = _BARE, *, version: int, base_url: str) -> dict[str, Any]:
    """A server as a change of it answered before 2.75: without what later extensions added."""
    status = status_of(server.vm_state, server.task_state)
    view: dict[str, Any] = {
        "id": server.id,
        "name": server.name,
        "status": status,
        "tenant_id": server.project_id,
        "user_id": server.user_id,
        "metadata": dict(server.metadata),
        "hostId": host_id(server.project_id) if server.placed else "",
        "image": {
            "id": server.image_id,
            "links": [{"rel": "bookmark", "href": f"{base_url}/images/{server.image_id}"}],
        }
        if server.image_id
        else "",
        "flavor": embedded_flavor(server.flavor, version=version, base_url=base_url),
        "created": to_iso(server.created_at),
        "updated": to_iso(server.updated_at),
        "addresses": addresses(sight.nics, plain=True),
        "accessIPv4": server.access_ipv4 or "",
        "accessIPv6": server.access_ipv6 or "",
        "links": links(base_url, "servers", server.id),
        "OS-DCF:diskConfig": server.disk_config,
    }
    if status in _IN_PROGRESS:
        view["progress"] = 0
    if server.fault is not None and server.vm_state in _FAULTY:
        view["fault"] = vars(server.fault)
    if version >= 9:
        view["locked"] = server.locked
    if version >= 19:
        view["description"] = server.description
    if version >= 26:
        view["tags"] = list(server.tags)
    if version >= 63:
        view["trusted_image_certificates"] = list(server.trusted_certs) or None
    if version >= 73:
        view["locked_reason"] = server.locked_reason
    if version >= 90:
        view["OS-EXT-SRV-ATTR:hostname"] = server.hostname
    return view


def full_server(
    server: Server,
    sight: Sight = _BARE,
    *,
    version: int,
    base_url: str,
    as_admin: bool,
    groups: bool = False,
) -> dict[str, Any]:
    """A server in detail; with the group that it is in (`groups`) where one server is asked for, not in lists."""
    view = part_of_server(server, _BARE, version=version, base_url=base_url)
    view["addresses"] = addresses(sight.nics)
    view["OS-EXT-AZ:availability_zone"] = AVAILABILITY_ZONE if server.placed else ""
    view["config_drive"] = "True" if server.config_drive else ""
    view["key_name"] = server.key_name
    view["OS-SRV-USG:launched_at"] = _moment(server.launched_at)
    view["OS-SRV-USG:terminated_at"] = _moment(server.deleted_at)
    view["OS-EXT-STS:task_state"] = server.task_state.value if server.task_state else None
    view["OS-EXT-STS:vm_state"] = server.vm_state.value
    view["OS-EXT-STS:power_state"] = power_state_of(server.vm_state)
    attached: list[dict[str, Any]] = [{"id": d.volume_id} for d in sight.volumes if d.volume_id is not None]
    if version >= 3:
        ends = (d.delete_on_termination for d in sight.volumes if d.volume_id is not None)
        attached = [a | {"delete_on_termination": end} for a, end in zip(attached, ends, strict=True)]
    view["os-extended-volumes:volumes_attached"] = attached
    names = {group.name: None for nic in sight.nics for group in nic.groups}
    if names:
        view["security_groups"] = [{"name": name} for name in names]
    if version >= 71 and groups:
        view["server_groups"] = [server.group_id] if server.group_id else []
    return view | (_for_admins(server, version) if as_admin else {})


def _for_admins(server: Server, version: int) -> dict[str, Any]:
    host = HOST if server.placed else None
    view: dict[str, Any] = {
        "OS-EXT-SRV-ATTR:host": host,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": host,
        "OS-EXT-SRV-ATTR:instance_name": f"instance-{server.id[:8]}",
    }
    if version >= 3:
        view["OS-EXT-SRV-ATTR:reservation_id"] = server.reservation_id
        view["OS-EXT-SRV-ATTR:launch_index"] = server.launch_index
        view["OS-EXT-SRV-ATTR:hostname"] = server.hostname
        view["OS-EXT-SRV-ATTR:kernel_id"] = ""
        view["OS-EXT-SRV-ATTR:ramdisk_id"] = ""
        view["OS-EXT-SRV-ATTR:root_device_name"] = "/dev/vda"
        view["OS-EXT-SRV-ATTR:user_data"] = server.user_data
    if version >= 16:
        view["host_status"] = "UP" if server.placed else ""
    return view


def addresses(nics: Sequence[Nic], *, plain: bool = False) -> dict[str, list[dict[str, Any]]]:
    """Addresses by network name, fixed ones first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for nic in nics:
        entries = found.setdefault(nic.network_name, [])
        pairs = [(fixed.ip_address, "fixed") for fixed in nic.port.fixed_ips]
        pairs += [(address, "floating") for address in nic.floating_ips]
        for address, kind in pairs:
            entry: dict[str, Any] = {"version": 6 if ":" in address else 4, "addr": address}
            if not plain:
                entry["OS-EXT-IPS:type"] = kind
                entry["OS-EXT-IPS-MAC:mac_addr"] = nic.port.mac_address
            entries.append(entry)
    return found


def embedded_flavor(flavor: Flavor, *, version: int, base_url: str) -> dict[str, Any]:
    """A flavor inside a server: a reference before 2.47, the figures since."""
    if version < 47:
        bookmark = f"{base_url}/flavors/{flavor.id}"
        return {"id": flavor.id, "links": [{"rel": "bookmark", "href": bookmark}]}
    return {
        "vcpus": flavor.vcpus,
        "ram": flavor.ram,
        "disk": flavor.disk,
        "ephemeral": flavor.ephemeral,
        "swap": flavor.swap,
        "original_name": flavor.name,
        "extra_specs": dict(flavor.extra_specs),
    }


def full_flavor(flavor: Flavor, *, version: int, base_url: str) -> dict[str, Any]:
    """A flavor in detail."""
    view: dict[str, Any] = {
        "id": flavor.id,
        "name": flavor.name,
        "ram": flavor.ram,
        "disk": flavor.disk,
        "swap": flavor.swap if version >= 75 else flavor.swap or "",
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral,
        "OS-FLV-DISABLED:disabled": False,
        "vcpus": flavor.vcpus,
        "os-flavor-access:is_public": flavor.is_public,
        "rxtx_factor": flavor.rxtx_factor,
        "links": links(base_url, "flavors", flavor.id),
    }
    if version >= 55:
        view["description"] = flavor.description
    if version >= 61:
        view["extra_specs"] = dict(flavor.extra_specs)
    return view


def brief_flavor(flavor: Flavor, *, version: int, base_url: str) -> dict[str, Any]:
    """A flavor in a short list."""
    view: dict[str, Any] = {
        "id": flavor.id,
        "name": flavor.name,
        "links": links(base_url, "flavors", flavor.id),
    }
    if version >= 55:
        view["description"] = flavor.description
    return view


def keypair(pair: Keypair, *, version: int, in_full: bool = False) -> dict[str, Any]:
    """A key pair; its type since 2.2."""
    view: dict[str, Any] = {
        "name": pair.name,
        "public_key": pair.public_key,
        "fingerprint": pair.fingerprint,
    }
    if version >= 2:
        view["type"] = pair.kind
    if in_full:
        view |= {
            "user_id": pair.person_id,
            # a number that stays the same; nothing can be asked by it
            "id": int(hashlib.sha256(f"{pair.person_id}/{pair.name}".encode()).hexdigest()[:7], 16),
            "created_at": _moment(pair.created_at),
            "updated_at": None,
            "deleted": False,
            "deleted_at": None,
        }
    return view


def action(entry: InstanceAction, *, version: int, in_full: bool = False) -> dict[str, Any]:
    """Something that was done to a server."""
    view: dict[str, Any] = {
        "action": entry.action,
        "instance_uuid": entry.server_id,
        "request_id": entry.id,
        "user_id": entry.user_id,
        "project_id": entry.project_id,
        "start_time": _moment(entry.started_at),
        "message": entry.message,
    }
    if version >= 58:
        view["updated_at"] = _moment(entry.updated_at)
    if in_full:
        event: dict[str, Any] = {
            "event": f"compute_{entry.action}_instance",
            "start_time": _moment(entry.started_at),
            "finish_time": _moment(entry.updated_at) if entry.finished else None,
            "result": None if not entry.finished else "Error" if entry.message else "Success",
        }
        if version >= 51:
            event["traceback"] = None
        if version >= 84:
            event["details"] = entry.message
        view["events"] = [event]
    return view
