"""Keystone's roles and ours.

`admin` in Keystone is an administrator of the whole cloud; ours of that name in a project administers only
that project, which Keystone calls `manager`. `service` is there for clients that look for it, and cannot be
given.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from armillary.accounts.model import Principal, Role
from armillary.base.errors import NotFound
from armillary.cloud.api.identity.catalog import stable_id

NAMES = ("admin", "manager", "member", "reader", "service")
IDS = {name: stable_id("role", name) for name in NAMES}
IMPLIED = (("admin", "manager"), ("manager", "member"), ("member", "reader"))


def role_document(name: str) -> dict[str, Any]:
    """Return a role in the short form that tokens carry."""
    return {"id": IDS[name], "name": name}


def role_named(role_id: str) -> str:
    """Return the name of the role with this id, or raise NotFound."""
    for name, known in IDS.items():
        if known == role_id:
            return name
    raise NotFound(f"Could not find role: {role_id}.")


def shown(roles: Iterable[Role], *, is_admin: bool) -> list[str]:
    """Return Keystone's names for roles, weakest first."""
    mapped = {Role.MANAGER if role is Role.ADMIN and not is_admin else role for role in roles}
    return [role.value for role in Role if role in mapped]


def roles_of(principal: Principal) -> list[dict[str, Any]]:
    """Return the roles that a token of this principal carries, the implied ones too."""
    roles = Role.ADMIN.implied if principal.is_cloud_admin else principal.roles
    return [role_document(name) for name in shown(roles, is_admin=principal.is_cloud_admin)]
