"""What a guest reads about itself: the config drive in the OpenStack format, as cloud-init expects it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from armillary.cloud.compute.model import Server
from armillary.cloud.model import PortSpec

AVAILABILITY_ZONE = "nova"


def build_config_drive(
    server: Server, ports: Sequence[PortSpec], *, vendor_data: str = ""
) -> dict[str, bytes]:
    """Return the drive's files by path.

    Args:
        server: whose drive it is.
        ports: its network cards, in order.
        vendor_data: a cloud-init document (`#cloud-config` …) that the cloud gives to every guest, merged under
            the user's own.
    """
    files = {
        "openstack/latest/meta_data.json": _json(_meta_data(server)),
        "openstack/latest/network_data.json": _json(_network_data(ports)),
        "openstack/latest/vendor_data.json": _json({"cloud-init": vendor_data} if vendor_data else {}),
        "ec2/latest/meta-data.json": _json(_ec2(server, ports)),
    }
    if server.user_data:
        user_data = base64.b64decode(server.user_data)
        files["openstack/latest/user_data"] = user_data
        files["ec2/latest/user-data"] = user_data
    return files


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


def _meta_data(server: Server) -> dict[str, Any]:
    document: dict[str, Any] = {
        "uuid": server.id,
        "meta": dict(server.metadata),
        "hostname": server.hostname,
        "name": server.name,
        "launch_index": server.launch_index,
        "availability_zone": AVAILABILITY_ZONE,
        "random_seed": server.seed,
        "project_id": server.project_id,
        "devices": [],
        "dedicated_cpus": [],
    }
    if server.key_name and server.public_key:
        document["public_keys"] = {server.key_name: server.public_key}
        document["keys"] = [{"name": server.key_name, "type": server.key_type, "data": server.public_key}]
    return document


def _network_data(ports: Sequence[PortSpec]) -> dict[str, Any]:
    links: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    for index, port in enumerate(ports):
        link = f"tap{port.id[:11]}"
        links.append(
            {
                "id": link,
                "vif_id": port.id,
                "type": "phy",
                "mtu": port.mtu,
                "ethernet_mac_address": port.mac,
            }
        )
        networks.append(
            {"id": f"network{index}", "type": "ipv4_dhcp", "link": link, "network_id": port.network_id}
        )
    return {"links": links, "networks": networks, "services": []}


def _ec2(server: Server, ports: Sequence[PortSpec]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "ami-id": f"ami-{server.image_id[:8]}",
        "ami-launch-index": server.launch_index,
        "block-device-mapping": {"ami": "vda", "root": "/dev/vda"},
        "hostname": server.hostname,
        "instance-action": "none",
        "instance-id": f"i-{server.id[:8]}",
        "instance-type": server.flavor.name,
        "local-hostname": server.hostname,
        "local-ipv4": ports[0].fixed_ip if ports else "",
        "placement": {"availability-zone": AVAILABILITY_ZONE},
        "public-hostname": server.hostname,
        "public-ipv4": "",
        "reservation-id": server.reservation_id,
    }
    if server.key_name and server.public_key:
        document["public-keys"] = {"0": {"openssh-key": server.public_key, "_name": f"0={server.key_name}"}}
    return document
