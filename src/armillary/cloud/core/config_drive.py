"""The config drive in the OpenStack format: what guests read of the metadata service's tree, as files."""

from __future__ import annotations

import json

from armillary.cloud.core.about import About
from armillary.cloud.core.metadata import (
    AVAILABILITY_ZONE,
    EC2_VERSIONS,
    LATEST,
    OPENSTACK_VERSIONS,
    ROCKY,
    content,
    ec2_tree,
    files_of,
    openstack_file,
)

__all__ = ["AVAILABILITY_ZONE", "build_config_drive"]

_VERSIONS = (OPENSTACK_VERSIONS[0], ROCKY, LATEST)
"""Nova writes all of them. Guests read the newest that they know, which is ROCKY for cloud-init, or LATEST, or know
none but the first; the others would make the drive of each machine four times as large for nobody."""


def build_config_drive(about: About) -> dict[str, bytes]:
    """Return the drive's files by path."""
    files: dict[str, bytes] = {}
    for version in (EC2_VERSIONS[-1], LATEST):
        tree = ec2_tree(about, version) or {}
        files[f"ec2/{version}/meta-data.json"] = json.dumps(tree["meta-data"]).encode()
        if "user-data" in tree:
            files[f"ec2/{version}/user-data"] = tree["user-data"]
    for version in _VERSIONS:
        for name in files_of(about, version):
            item = openstack_file(about, version, name)
            if item is not None and not item.is_password:  # which is a place to write to
                files[f"openstack/{version}/{name}"] = item.body
    for index in range(len(about.server.files)):
        item = content(about, f"{index:04}")
        if item is not None:
            files[f"openstack/content/{index:04}"] = item.body
    return files
