"""`/v3/users/{user}/application_credentials`."""

# no `from __future__ import annotations` here: FastAPI reads the annotations of functions made in functions

from datetime import datetime
from typing import Any, cast

from fastapi import APIRouter, Response

from armillary.accounts.model import ApplicationCredential, Person, Principal, Role
from armillary.base.clock import from_iso
from armillary.base.errors import Conflict, Forbidden, Invalid, NotFound
from armillary.cloud.api.identity import views
from armillary.cloud.api.identity.faults import KeystoneJSON, Missing, denied
from armillary.cloud.api.identity.roles import our_role, role_named, shown
from armillary.cloud.api.identity.room import (
    JSONObject,
    Room,
    need_object,
    need_text,
    some_flag,
    some_text,
)

_METHODS = ("POST", "GET", "HEAD", "PATCH", "PUT", "DELETE")
_PATH = "/v3/users/{user_id}/application_credentials"


def add(routes: APIRouter, room: Room) -> None:
    """Add the routes."""

    def find(person: Person, credential_id: str) -> ApplicationCredential:
        for credential in room.accounts.application_credentials_of(person.id):
            if credential.id == credential_id:
                return credential
        raise NotFound(f"Could not find Application Credential: {credential_id}.")

    @routes.api_route(_PATH, methods=["GET", "HEAD"])
    def credentials(user_id: str, name: str | None = None, who: Principal = room.signed_in) -> KeystoneJSON:
        person = room.need_self(who, user_id, "identity:list_application_credentials")
        rules = room.accounts.access_rules_of(person.id)
        found = [
            views.credential(credential, room.url, rules)
            for credential in room.accounts.application_credentials_of(person.id)
            if name in (None, credential.name)
        ]
        path = f"users/{user_id}/application_credentials"
        return KeystoneJSON(room.listing("application_credentials", found, path))

    @routes.post(_PATH)
    def create(user_id: str, body: JSONObject, who: Principal = room.signed_in) -> KeystoneJSON:
        if who.person.id != user_id or who.project is None:
            raise denied("identity:create_application_credential")
        _need_unrestricted(room, who)
        wish = need_object(body, "application_credential")
        name = need_text(wish, "name")
        if some_text(wish, "project_id") not in (None, who.project.id):
            raise denied("identity:create_application_credential")
        try:
            credential, secret = room.accounts.create_application_credential(
                who.person.id,
                who.project.id,
                name=name,
                secret=some_text(wish, "secret"),
                description=some_text(wish, "description") or "",
                roles=_roles(wish, who),
                expires_at=_moment(some_text(wish, "expires_at")),
                unrestricted=bool(some_flag(wish, "unrestricted")),
                rules=_rules(wish),
            )
        except NotFound as error:
            raise NotFound(f"Could not find Access Rule: {error.facts.get('rule')}.") from error
        except Conflict as error:
            raise Conflict(
                "Conflict occurred attempting to store application_credential - Duplicate entry found with "
                f"name {name}."
            ) from error
        shown = views.credential(credential, room.url, room.accounts.access_rules_of(who.person.id))
        return KeystoneJSON({"application_credential": shown | {"secret": secret}}, status_code=201)

    @routes.api_route(_PATH + "/{credential_id}", methods=["GET", "HEAD"])
    def show(user_id: str, credential_id: str, who: Principal = room.signed_in) -> KeystoneJSON:
        person = room.need_self(who, user_id, "identity:get_application_credential")
        found, rules = find(person, credential_id), room.accounts.access_rules_of(person.id)
        shown = views.credential(found, room.url, rules)
        return KeystoneJSON({"application_credential": shown})

    @routes.delete(_PATH + "/{credential_id}")
    def delete(user_id: str, credential_id: str, who: Principal = room.signed_in) -> Response:
        person = room.need_self(who, user_id, "identity:delete_application_credential")
        _need_unrestricted(room, who)
        credential = find(person, credential_id)
        room.accounts.delete_application_credential(person.id, credential.id)
        return Response(status_code=204)


def _need_unrestricted(room: Room, who: Principal) -> None:
    """A credential must not make or delete credentials, unless it was made for that."""
    credential_id = who.facts.get("credential_id")
    if credential_id is not None and not room.accounts.application_credential(credential_id).unrestricted:
        raise Forbidden(
            "Could not perform the requested action: an application credential without 'unrestricted' may "
            "not manage application credentials."
        )


def _roles(wish: dict[str, Any], who: Principal) -> frozenset[Role]:
    """Return the roles that the credential shall carry: those of the token unless it names others."""
    asked = wish.get("roles")
    if not asked:
        return who.roles
    if not isinstance(asked, list):
        raise Missing("roles", "is not of type 'array'")
    names: set[str] = set()
    for item in cast("list[Any]", asked):
        reference = need_object({"roles": item}, "roles")
        names.add(
            role_named(need_text(reference, "id")) if "id" in reference else need_text(reference, "name")
        )
    for name in sorted(names.difference(shown(who.roles))):
        raise Invalid(f"Invalid application credential: Could not find role assignment with role: {name}.")
    return frozenset(our_role(name) for name in names)


def _rules(wish: dict[str, Any]) -> list[str | tuple[str, str, str]] | None:
    """Return the access rules that the credential shall have: ids of known ones, or new ones."""
    asked = wish.get("access_rules")
    if asked is None:
        return None
    if not isinstance(asked, list):
        raise Missing("access_rules", "is not of type 'array'")
    rules: list[str | tuple[str, str, str]] = []
    for item in cast("list[Any]", asked):
        rule = need_object({"access_rules": item}, "access_rules")
        if "id" in rule:
            rules.append(need_text(rule, "id"))
            continue
        service, method, path = (need_text(rule, name) for name in ("service", "method", "path"))
        if method not in _METHODS:
            raise Invalid(
                f"Invalid input for field 'access_rules/method': {method!r} does not match {_METHODS}"
            )
        if not path.startswith("/") or len(path) > 128 or not 0 < len(service) <= 255:
            raise Invalid(
                "Invalid input for field 'access_rules': a service, and a path from the first slash on."
            )
        rules.append((service, method, path))
    # None are no limit, as in Keystone
    return rules or None


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return from_iso(text)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"Expecting expires_at in ISO 8601 format: {text!r} is not.") from error
