"""People, projects and credentials as Identity v3 shows them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from armillary.accounts.model import ApplicationCredential, CloudScope, Person, Principal, Project
from armillary.base.ids import TokenId
from armillary.cloud.api.identity.catalog import Catalog
from armillary.cloud.api.identity.roles import role_document, roles_of, shown
from armillary.cloud.api.identity.room import DOMAIN


def moment(value: datetime) -> str:
    """Return a moment as Keystone writes it, with microseconds."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def audit_id(token_id: TokenId) -> str:
    """Return the 22 characters by which logs name a token."""
    return base64.urlsafe_b64encode(bytes.fromhex(token_id)).decode().rstrip("=")


def user(person: Person, url: str) -> dict[str, Any]:
    """Return a user."""
    return {
        "id": person.id,
        "name": person.user_name,
        "domain_id": DOMAIN["id"],
        "enabled": person.enabled,
        "email": person.email,
        "description": person.full_name,
        "password_expires_at": None,
        "options": {},
        "links": {"self": f"{url}/users/{person.id}"},
    }


def project(value: Project, url: str) -> dict[str, Any]:
    """Return a project."""
    return {
        "id": value.id,
        "name": value.name,
        "domain_id": DOMAIN["id"],
        "description": value.description,
        "enabled": value.enabled,
        "parent_id": DOMAIN["id"],
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": {"self": f"{url}/projects/{value.id}"},
    }


def role(name: str, url: str) -> dict[str, Any]:
    """Return a role in its long form."""
    short = role_document(name)
    return short | {
        "domain_id": None,
        "description": None,
        "options": {},
        "links": {"self": f"{url}/roles/{short['id']}"},
    }


def credential(value: ApplicationCredential, url: str) -> dict[str, Any]:
    """Return an application credential without its secret."""
    names = shown(value.roles)
    return {
        "id": value.id,
        "name": value.name,
        "description": value.description,
        "user_id": value.person_id,
        "project_id": value.project_id,
        "system": None,
        "roles": [role_document(name) | {"domain_id": None} for name in names],
        "expires_at": moment(value.expires_at).rstrip("Z") if value.expires_at else None,
        "unrestricted": value.unrestricted,
        "links": {"self": f"{url}/users/{value.person_id}/application_credentials/{value.id}"},
    }


def token(principal: Principal, catalog: Catalog | None) -> dict[str, Any]:
    """Return the body of a token; with its catalog if that is given and the token has a scope."""
    issued = principal.token
    assert issued is not None
    body: dict[str, Any] = {
        "methods": principal.method.split(","),
        "user": {
            "domain": DOMAIN,
            "id": principal.person.id,
            "name": principal.person.user_name,
            "password_expires_at": None,
        },
        "audit_ids": [audit_id(issued.id)],
        "expires_at": moment(issued.expires_at),
        "issued_at": moment(issued.created_at),
    }
    scoped = True
    if principal.project is not None:
        body["project"] = {"domain": DOMAIN, "id": principal.project.id, "name": principal.project.name}
        body["is_domain"] = False
    elif issued.cloud_scope is CloudScope.SYSTEM:
        body["system"] = {"all": True}
    elif issued.cloud_scope is CloudScope.DOMAIN:
        body["domain"] = DOMAIN
    else:
        scoped = False
    if scoped:
        body["roles"] = roles_of(principal)
        if catalog is not None:
            body["catalog"] = catalog.for_token(principal.project.id if principal.project else None)
    return {"token": body}
