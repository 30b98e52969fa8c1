"""From the body of `POST /v3/auth/tokens` to a token: who it is, then what the token is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from armillary.accounts.model import CloudScope, IssuedToken, Person, Project, Role, TokenKind
from armillary.base.errors import Forbidden, Invalid, NotFound, Unauthorized
from armillary.base.ids import PersonId, ProjectId
from armillary.cloud.api.auth import KEYSTONE_ONLY, UNAUTHENTICATED
from armillary.cloud.api.identity.faults import Missing
from armillary.cloud.api.identity.room import Room, in_default_domain, need_object, need_text, some_text

_NOBODY = "\0"
"""No user has this name: asking for it costs what a wrong password costs."""


@dataclass(frozen=True, kw_only=True)
class _Proof:
    """One method's answer to who somebody is, with the limits that come along."""

    person: Person
    method: str
    ends_at: datetime | None = None
    project_id: ProjectId | None = None
    roles: frozenset[Role] | None = None
    credential_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Scope:
    project: Project | None = None
    cloud: CloudScope | None = None


def sign_in(room: Room, body: Mapping[str, Any]) -> IssuedToken:
    """Return a new token for what the body asks.

    Raises:
        Invalid: the body is not one of Identity v3.
        Unauthorized: nobody is proven, or may not have the scope.
    """
    auth = need_object(body, "auth")
    identity = need_object(auth, "identity")
    proofs = [_prove(room, method, identity) for method in _methods(identity)]
    if len({proof.person.id for proof in proofs}) != 1:
        raise _unauthorized()
    bound = next((proof for proof in proofs if proof.credential_id), None)
    scope = _scope(room, proofs[0].person, auth, bound)
    now = room.clock.now()
    ends = [proof.ends_at for proof in proofs if proof.ends_at is not None]
    lifetime = min([now + room.lifetime, *ends]) - now
    try:
        return room.accounts.issue_token(
            proofs[0].person.id,
            kind=TokenKind.KEYSTONE,
            lifetime=lifetime,
            project_id=scope.project.id if scope.project else None,
            cloud_scope=scope.cloud,
            roles=bound.roles if bound else None,
            method=",".join(dict.fromkeys(word for proof in proofs for word in proof.method.split(","))),
            credential_id=bound.credential_id if bound else None,
        )
    except (Forbidden, NotFound) as error:  # no role in the project, or gone since
        raise _unauthorized() from error


def _methods(identity: Mapping[str, Any]) -> list[str]:
    if "methods" not in identity:
        raise Missing("methods")
    methods = identity["methods"]
    if not isinstance(methods, list) or not all(isinstance(m, str) for m in cast("list[Any]", methods)):
        raise Missing("methods", "is not of type 'array'")
    names = list(dict.fromkeys(cast("list[str]", methods)))
    if not names:
        raise _unauthorized()
    return names


def _prove(room: Room, method: str, identity: Mapping[str, Any]) -> _Proof:
    if method == "password":
        return _by_password(room, need_object(need_object(identity, method), "user"))
    if method == "token":
        return _by_token(room, need_text(need_object(identity, method), "id"))
    if method == "application_credential":
        return _by_credential(room, need_object(identity, method))
    raise _unauthorized()


def _by_password(room: Room, user: Mapping[str, Any]) -> _Proof:
    password = need_text(user, "password")
    person = room.accounts.authenticate(_user_name(room, user), password)
    return _Proof(person=person, method="password")


def _user_name(room: Room, user: Mapping[str, Any]) -> str:
    """Return the name of the user that is meant; of nobody if there is none such."""
    user_id = some_text(user, "id")
    if user_id is not None:
        try:
            return room.accounts.person(PersonId(user_id)).user_name
        except NotFound:
            return _NOBODY
    name = need_text(user, "name")
    if "domain" not in user:
        raise Invalid(
            "Expecting to find domain in user. The server could not comply with the request since it is "
            "either malformed or otherwise incorrect. The client is assumed to be in error."
        )
    return name if in_default_domain(need_object(user, "domain")) else _NOBODY


def _by_token(room: Room, secret: str) -> _Proof:
    try:
        principal = room.accounts.check_token(secret, kinds=KEYSTONE_ONLY)
    except Unauthorized as error:  # Keystone's own words for this one method
        raise NotFound("Could not find token.") from error
    if principal.token is None:
        raise _unauthorized()
    return _Proof(
        # the token's own limits must not be lost, nor its administrator's rights come back
        person=principal.person,
        method="token" if "token" in principal.method.split(",") else f"{principal.method},token",
        ends_at=principal.token.expires_at,
        project_id=principal.token.project_id,
        roles=principal.token.roles,
        credential_id=principal.facts.get("credential_id"),
    )


def _by_credential(room: Room, asked: Mapping[str, Any]) -> _Proof:
    user = need_object(asked, "user") if "user" in asked else {}
    if user and "id" not in user and not in_default_domain(need_object(user, "domain")):
        raise _unauthorized()
    credential_id, name = some_text(asked, "id"), some_text(asked, "name")
    if credential_id is None and name is None:
        raise Missing("id")
    user_id = some_text(user, "id")
    principal = room.accounts.authenticate_application_credential(
        id=credential_id,
        name=name,
        user_id=PersonId(user_id) if user_id else None,
        user_name=some_text(user, "name"),
        secret=need_text(asked, "secret"),
    )
    credential = room.accounts.application_credential(principal.facts["credential_id"])
    return _Proof(
        person=principal.person,
        method="application_credential",
        ends_at=credential.expires_at,
        project_id=credential.project_id,
        roles=credential.roles,
        credential_id=credential.id,
    )


def _scope(room: Room, person: Person, auth: Mapping[str, Any], bound: _Proof | None) -> _Scope:
    asked = auth.get("scope")
    if bound is not None and bound.project_id is not None:
        project = room.accounts.project(bound.project_id)
        # an application credential is for its project and for nothing else
        if asked is not None and _named_project(room, need_object(auth, "scope")) != project:
            raise _unauthorized()
        return _Scope(project=project)
    if asked is None:
        return _by_default(room, person)
    if asked == "unscoped":
        return _Scope()
    scope = need_object(auth, "scope")
    if "unscoped" in scope:
        return _Scope()
    if len(scope) != 1:
        raise Invalid("Expecting to find exactly one scope.")
    if "project" in scope:
        return _Scope(project=_named_project(room, scope))
    if "system" in scope and need_object(scope, "system").get("all"):
        return _Scope(cloud=CloudScope.SYSTEM)
    if "domain" in scope and in_default_domain(need_object(scope, "domain")):
        return _Scope(cloud=CloudScope.DOMAIN)
    raise _unauthorized()


def _by_default(room: Room, person: Person) -> _Scope:
    """The person's default project if a token can be had for it, else nothing."""
    if person.default_project_id is None:
        return _Scope()
    open_now = room.accounts.projects_open_to(person.id)
    mine = (project for project in open_now if project.id == person.default_project_id and project.enabled)
    return _Scope(project=next(mine, None))


def _named_project(room: Room, scope: Mapping[str, Any]) -> Project:
    if "project" not in scope:
        raise _unauthorized()
    wanted = need_object(scope, "project")
    project_id = some_text(wanted, "id")
    try:
        if project_id is not None:
            return room.accounts.project(ProjectId(project_id))
        if "domain" not in wanted:
            raise Invalid("Expecting to find domain in project.")
        name = need_text(wanted, "name")
        if not in_default_domain(need_object(wanted, "domain")):
            raise _unauthorized()
        return room.accounts.project_named(name)
    except NotFound as error:
        raise _unauthorized() from error


def _unauthorized() -> Unauthorized:
    return Unauthorized(UNAUTHENTICATED)
