"""The tree that a guest reads about itself, as Nova's metadata service and its config drive show it. Pure.

`/openstack/<version>/…` is OpenStack's own, everything else is the tree of Amazon's EC2, which older guests read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from armillary.cloud.core.about import About
from armillary.cloud.core.network_data import network_data

AVAILABILITY_ZONE = "nova"
DOMAIN = "novalocal"
"""Nova's default for `dhcp_domain`: what comes after a server's host name."""

EC2_VERSIONS = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
    "2009-04-04",
)  # fmt: skip
GRIZZLY, HAVANA, LIBERTY, NEWTON_ONE, NEWTON_TWO, VICTORIA = (
    "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2020-10-14",
)  # fmt: skip
ROCKY = "2018-08-27"
OPENSTACK_VERSIONS = (
    "2012-08-10", GRIZZLY, HAVANA, LIBERTY, NEWTON_ONE, NEWTON_TWO, "2017-02-22", ROCKY, VICTORIA,
)  # fmt: skip
LATEST = "latest"
TEXT, JSON, HTML = "text/plain", "application/json", "text/html"

_SINCE = {
    "meta_data.json": OPENSTACK_VERSIONS[0],
    "user_data": OPENSTACK_VERSIONS[0],
    "password": GRIZZLY,
    "vendor_data.json": HAVANA,
    "network_data.json": LIBERTY,
    "vendor_data2.json": NEWTON_TWO,
}
"""The files of a version in the order in which Nova lists them, each with the version that brought it. Nova gives
`network_data.json` to whoever asks for it under an older version, and lists it from here on."""
_SEED_BYTES = 512


@dataclass(frozen=True, kw_only=True)
class Item:
    """An answer: a file's content, or a folder's listing."""

    body: bytes
    media_type: str = TEXT
    is_password: bool = False
    """The one file that a guest may write, once."""


def versions(folder: str = "ec2") -> Item:
    """Return the listing of a tree's root."""
    known = OPENSTACK_VERSIONS if folder == "openstack" else EC2_VERSIONS
    return _listing([*known, LATEST])


def lookup(about: About, path: str) -> Item | None:
    """Return what lies at an absolute path of the tree, or None."""
    words = posixpath.normpath("/" + path.lstrip("/")).split("/")[1:]
    if words[0] not in ("ec2", "openstack"):
        words = ["ec2", *(word for word in words if word)]
    if len(words) == 1:
        return versions(words[0])
    if words[0] == "ec2":
        return _ec2_item(about, words[1], words[2:])
    if words[1] == "content":
        return content(about, words[2]) if len(words) == 3 else None
    if len(words) == 2:
        return openstack_listing(about, words[1])
    return openstack_file(about, words[1], words[2]) if len(words) == 3 else None


# -- OpenStack's own tree


def openstack_listing(about: About, version: str) -> Item | None:
    """Return the names of a version's files."""
    known = _openstack_version(version)
    return None if known is None else _listing(files_of(about, known))


def files_of(about: About, version: str) -> list[str]:
    """Return the names of a version's files in Nova's order."""
    known = OPENSTACK_VERSIONS[-1] if version == LATEST else version
    absent = {"user_data"} if about.server.user_data is None else set[str]()
    return [name for name, since in _SINCE.items() if known >= since and name not in absent]


def openstack_file(about: About, version: str, name: str) -> Item | None:
    """Return one file of a version."""
    known = _openstack_version(version)
    if known is None or name not in _SINCE or (known < _SINCE[name] and name != "network_data.json"):
        return None
    if name == "password":
        return Item(body=about.password.encode(), media_type=HTML, is_password=True)
    if name == "user_data":
        content = user_data(about)
        return None if content is None else Item(body=content)
    if name == "network_data.json":
        # Nova does not say that this one is JSON
        return Item(body=_json(network_data(about.cards)))
    documents = {
        "meta_data.json": lambda: _meta_data(about, known),
        "vendor_data.json": lambda: dict(about.static),
        "vendor_data2.json": lambda: {"static": dict(about.static)},
    }
    return Item(body=_json(documents[name]()), media_type=JSON)


def content(about: About, name: str) -> Item | None:
    """Return one of the files that were injected, by the number under which the metadata names it."""
    files = about.server.files
    if not name.isdecimal() or int(name) >= len(files):
        return None
    return Item(body=_unpacked(files[int(name)]["contents"]) or b"")


def _openstack_version(version: str) -> str | None:
    if version == LATEST:
        return OPENSTACK_VERSIONS[-1]
    return version if version in OPENSTACK_VERSIONS else None


def user_data(about: About) -> bytes | None:
    """Return the user's own data as it was before it was packed for the request; None if there is none."""
    packed = about.server.user_data
    return None if packed is None else _unpacked(packed)


def _unpacked(packed: str) -> bytes | None:
    try:
        return base64.b64decode(packed)
    except binascii.Error:
        return None  # cannot come in through the API, which reads it first


def _meta_data(about: About, version: str) -> dict[str, Any]:
    server = about.server
    document: dict[str, Any] = {"uuid": server.id}
    if server.metadata:
        document["meta"] = dict(server.metadata)
    if server.files:
        document["files"] = [
            {"path": file["path"], "content_path": f"/content/{index:04}"}
            for index, file in enumerate(server.files)
        ]
    if server.admin_pass:
        document["admin_pass"] = server.admin_pass
    if server.key_name and server.public_key:
        document["public_keys"] = {server.key_name: server.public_key}
        document["keys"] = [{"name": server.key_name, "type": server.key_type, "data": server.public_key}]
    document |= {
        "hostname": hostname(about),
        "name": server.name,
        "launch_index": server.launch_index,
        "availability_zone": server.availability_zone or AVAILABILITY_ZONE,
    }
    if version >= GRIZZLY:
        document["random_seed"] = _seed(server.seed)
    if version >= LIBERTY:
        document["project_id"] = server.project_id
    if version >= NEWTON_ONE:
        document["devices"] = _devices(about, version)
    if version >= VICTORIA:
        document["dedicated_cpus"] = []
    return document


def hostname(about: About) -> str:
    """Return the server's full host name."""
    return f"{about.server.hostname}.{DOMAIN}"


def _seed(secret: str) -> str:
    """Stretch a server's secret to the length that Nova gives; it is the same at each reading."""
    return base64.b64encode(hashlib.shake_256(secret.encode()).digest(_SEED_BYTES)).decode()


def _devices(about: About, version: str) -> list[dict[str, Any]]:
    """Return the devices that the user gave a name: guests tell them by hardware address and serial number."""
    place = {"bus": "pci", "address": "none"}
    found: list[dict[str, Any]] = []
    for card in about.cards:
        if card.tag is not None:
            trusted = {"vf_trusted": False} if version >= ROCKY else {}
            found.append(
                {**trusted, "type": "nic", "mac": card.port.mac_address, **place, "tags": [card.tag]}
            )
    for disk in about.disks:
        if disk.tag is not None:
            names = {"serial": disk.serial, "path": disk.device}
            told = {name: value for name, value in names.items() if value}
            found.append({"type": "disk", **told, **place, "tags": [disk.tag]})
    return found


# -- Amazon's tree


def ec2_tree(about: About, version: str) -> dict[str, Any] | None:
    """Return the tree of one version: folders are dictionaries, files are text, numbers, lists or bytes."""
    known = EC2_VERSIONS[-1] if version == LATEST else version
    if known not in EC2_VERSIONS:
        return None
    server, name = about.server, hostname(about)
    fixed = [f.ip_address for card in about.cards for f in card.port.fixed_ips if ":" not in f.ip_address]
    floating = [address for card in about.cards for address in card.floating_ips]
    image = server.image_id[:8] or "0" * 8
    meta: dict[str, Any] = {
        "ami-id": f"ami-{image}",
        "ami-launch-index": server.launch_index,
        "ami-manifest-path": "FIXME",
        "instance-id": f"i-{server.id[:8]}",
        "hostname": name,
        "local-ipv4": fixed[0] if fixed else "",
        "reservation-id": server.reservation_id,
        "security-groups": list(about.group_names),
    }
    if server.key_name and server.public_key:
        meta["public-keys"] = {"0": {"_name": f"0={server.key_name}", "openssh-key": server.public_key}}
    later: dict[str, dict[str, Any]] = {
        "2007-01-19": {
            "local-hostname": name,
            "public-hostname": name,
            "public-ipv4": floating[0] if floating else "",
        },
        "2007-08-29": {"instance-type": server.flavor.name},
        "2007-12-15": {"block-device-mapping": _block_devices(about)},
        "2008-02-01": {"placement": {"availability-zone": server.availability_zone or AVAILABILITY_ZONE}},
        "2008-09-01": {"instance-action": "none"},
    }
    for since, more in later.items():
        if EC2_VERSIONS.index(known) >= EC2_VERSIONS.index(since):
            meta |= more
    tree: dict[str, Any] = {"meta-data": meta}
    content = user_data(about)
    return tree if content is None else tree | {"user-data": content}


def _block_devices(about: About) -> dict[str, str]:
    root = next((disk.device for disk in about.disks if disk.boot and disk.device), "/dev/vda")
    found = {"ami": root.removeprefix("/dev/"), "root": root}
    if about.server.flavor.ephemeral:
        found["ephemeral0"] = "/dev/vdb"
    for kind, name in (("ephemeral", "ephemeral{}"), ("swap", "swap"), ("volume", "ebs{}")):
        devices = sorted(disk.device for disk in about.disks if disk.kind == kind and not disk.boot)
        found |= {name.format(index): device for index, device in enumerate(devices)}
    return found


def _ec2_item(about: About, version: str, words: list[str]) -> Item | None:
    found: Any = ec2_tree(about, version)
    for word in words:
        if not isinstance(found, dict) or word not in found:
            return None
        found = cast("Mapping[str, Any]", found)[word]
    return None if found is None else _printed(found)


def _printed(found: Any) -> Item:
    """Show a folder as its names, one a line; a folder with a name of its own is shown by that."""
    if isinstance(found, bytes):
        return Item(body=found)
    if isinstance(found, list):
        return _listing([str(entry) for entry in cast("list[Any]", found)])
    if not isinstance(found, dict):
        return Item(body=str(found).encode())
    folder = cast("Mapping[str, Any]", found)
    names: list[str] = []
    for key in sorted(folder):
        inner = folder[key]
        if key == "_name":
            continue
        if isinstance(inner, dict):
            names.append(str(cast("Mapping[str, Any]", inner).get("_name", f"{key}/")))
        else:
            names.append(key)
    return _listing(names)


def _listing(names: list[str]) -> Item:
    return Item(body="\n".join(names).encode())


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()
