"""Identifiers are types, so that a project is never passed where a person is meant.

Each is a plain string at run time: 32 hexadecimal digits where Keystone has them (people, projects), a dashed
UUID elsewhere, as the OpenStack services do.
"""

from __future__ import annotations

import secrets
import uuid
from typing import NewType

PersonId = NewType("PersonId", str)
ProjectId = NewType("ProjectId", str)
ApplicationId = NewType("ApplicationId", str)
TokenId = NewType("TokenId", str)
ImageId = NewType("ImageId", str)
ServerId = NewType("ServerId", str)
NetworkId = NewType("NetworkId", str)
SubnetId = NewType("SubnetId", str)
PortId = NewType("PortId", str)
SecurityGroupId = NewType("SecurityGroupId", str)
VolumeId = NewType("VolumeId", str)
FloatingIpId = NewType("FloatingIpId", str)
CloudName = NewType("CloudName", str)
WorkerId = NewType("WorkerId", str)
ClusterId = NewType("ClusterId", int)
Sha512 = NewType("Sha512", str)
"""128 lower-case hexadecimal digits; the name of a machine image everywhere."""


def new_hex() -> str:
    """Return a random identifier of 32 hexadecimal digits (Keystone's form)."""
    return uuid.uuid4().hex


def new_uuid() -> str:
    """Return a random identifier as a dashed UUID (the form of Nova, Glance and Neutron)."""
    return str(uuid.uuid4())


def new_secret(octets: int = 32) -> str:
    """Return a URL-safe secret with `octets` bytes of entropy."""
    return secrets.token_urlsafe(octets)
