"""People, projects and credentials as Identity v3 shows them."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from armillary.accounts.model import (
    AccessRule,
    ApplicationCredential,
    CloudScope,
    EC2Credential,
    Group,
    Person,
    Principal,
    Project,
)
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
    return (
        dict(person.extras)
        | {
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
        | ({"default_project_id": person.default_project_id} if person.default_project_id else {})
    )


def project(value: Project, url: str) -> dict[str, Any]:
    """Return a project."""
    return dict(value.extras) | {
        "id": value.id,
        "name": value.name,
        "domain_id": DOMAIN["id"],
        "description": value.description,
        "enabled": value.enabled,
        "parent_id": DOMAIN["id"],
        "is_domain": False,
        "tags": list(value.tags),
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


def group(value: Group, url: str) -> dict[str, Any]:
    """Return a group."""
    return {
        "id": value.id,
        "name": value.name,
        "domain_id": DOMAIN["id"],
        "description": value.description,
        "links": {"self": f"{url}/groups/{value.id}"},
    }


def access_rule(value: AccessRule) -> dict[str, Any]:
    """Return an access rule in the short form that credentials and tokens carry."""
    return {"id": value.id, "service": value.service, "path": value.path, "method": value.method}


def linked_access_rule(value: AccessRule, url: str) -> dict[str, Any]:
    """Return an access rule in its long form."""
    return access_rule(value) | {"links": {"self": f"{url}/access_rules/{value.id}"}}


def ec2_credential(value: EC2Credential, url: str) -> dict[str, Any]:
    """Return a pair of keys, the secret too."""
    return {
        "user_id": value.person_id,
        "tenant_id": value.project_id,
        "access": value.access,
        "secret": value.secret,
        "trust_id": None,
        "links": {"self": f"{url}/users/{value.person_id}/credentials/OS-EC2/{value.access}"},
    }


def credential(value: ApplicationCredential, url: str, rules: Iterable[AccessRule]) -> dict[str, Any]:
    """Return an application credential without its secret; `rules` are those of its person."""
    names = shown(value.roles)
    limits = None if value.rule_ids is None else [access_rule(r) for r in rules if r.id in value.rule_ids]
    return ({} if limits is None else {"access_rules": limits}) | {
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


def token(
    principal: Principal, catalog: Catalog | None, credential: ApplicationCredential | None = None
) -> dict[str, Any]:
    """Return the body of a token; with its catalog if that is given and the token has a scope.

    `credential` is the application credential that it was made from.
    """
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
    if credential is not None:
        limits: dict[str, Any] = {
            "id": credential.id,
            "name": credential.name,
            "restricted": not credential.unrestricted,
        }
        if principal.access_rules is not None:
            limits["access_rules"] = [access_rule(rule) for rule in principal.access_rules]
        body["application_credential"] = limits
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
