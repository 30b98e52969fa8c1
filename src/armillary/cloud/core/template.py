"""What a template is told: to wait. Its drive has the shape of any server's, and nothing that is anybody's. Pure."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass

from armillary.base.ids import NetworkId, PortId, Sha512
from armillary.cloud.model import PortSpec, Template

_MAC, _HOSTNAME = "fa:16:3e:00:00:01", "template"
_PORT = PortSpec(
    id=PortId("template"),
    network_id=NetworkId("template"),
    mac=_MAC,
    fixed_ip="10.255.255.10",
    cidr="10.255.255.0/24",
    gateway_ip="10.255.255.1",
)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """How servers say that they may begin from a checkpoint, and what makes a machine wait for that."""

    mark: str
    """A key in servers' metadata."""
    name: str
    """Its value there, for servers that this way to wait leads to."""
    user_data: str
    """cloud-init's, for the template; plain text."""


def template_of(waiting: Waiting, *, image: Sha512, vendor_data: str) -> Template:
    """Return the template of servers of an image, with the cloud's own vendor data."""
    link = {"id": "tap0", "vif_id": _PORT.id, "type": "phy", "mtu": 1500, "ethernet_mac_address": _MAC}
    network = {"id": "network0", "type": "ipv4_dhcp", "link": "tap0", "network_id": _PORT.network_id}
    about = {
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{waiting.name} {image}")),
        "name": _HOSTNAME,
        "hostname": _HOSTNAME,
    }
    files: dict[str, bytes] = {
        "meta_data.json": json.dumps(about).encode(),
        "network_data.json": json.dumps({"links": [link], "networks": [network], "services": []}).encode(),
        "user_data": waiting.user_data.encode(),
    }
    if vendor_data:
        files["vendor_data.json"] = json.dumps({"cloud-init": vendor_data}).encode()
    digest = hashlib.sha256(json.dumps([waiting.user_data, vendor_data]).encode()).hexdigest()
    drive = {f"openstack/latest/{name}": content for name, content in files.items()}
    return Template(name=digest[:16], image=image, port=_PORT, config_drive=drive)
