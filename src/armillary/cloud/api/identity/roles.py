"""Keystone's roles and ours.

`admin` in Keystone is an administrator of the clouds, our `cloud_admin`; our `admin` of a project administers only that
project, which Keystone calls `manager`. Administrators of the platform have Keystone's `admin` everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from armillary.accounts.model import Principal, Role
from armillary.base.errors import NotFound
from armillary.cloud.api.identity.catalog import stable_id

ADMIN = "admin"
NAMES = (ADMIN, "manager", "member", "reader", "service")
IDS = {name: stable_id("role", name) for name in NAMES}
IMPLIED = ((ADMIN, "manager"), ("manager", "member"), ("member", "reader"))


def role_document(name: str) -> dict[str, Any]:
    """Return a role in the short form that tokens carry."""
    return {"id": IDS[name], "name": name}


def role_named(role_id: str) -> str:
    """Return the name of the role with this id, or raise NotFound."""
    for name, known in IDS.items():
        if known == role_id:
            return name
    raise NotFound(f"Could not find role: {role_id}.")


def our_role(name: str) -> Role:
    """Return what a role of Keystone is in our records."""
    return Role.CLOUD_ADMIN if name == ADMIN else Role(name)


def shown(roles: Iterable[Role], *, is_admin: bool = False) -> list[str]:
    """Return Keystone's names for roles, weakest first; `is_admin` tells of an administrator of the platform."""
    mapped = {
        Role.CLOUD_ADMIN if role is Role.ADMIN and is_admin else Role.MANAGER if role is Role.ADMIN else role
        for role in roles
    }
    return [ADMIN if role is Role.CLOUD_ADMIN else role.value for role in Role if role in mapped]


def with_implied(names: Iterable[str]) -> list[str]:
    """Return these roles of Keystone and those that they imply, weakest first."""
    return shown(frozenset[Role]().union(*(our_role(name).implied for name in names)) - {Role.ADMIN})


def roles_of(principal: Principal) -> list[dict[str, Any]]:
    """Return the roles that a token of this principal carries, the implied ones too."""
    return [role_document(name) for name in shown(principal.roles)]
