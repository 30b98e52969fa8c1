"""`/v3/users`: people as Keystone's clients manage them."""

# no `from __future__ import annotations` here: FastAPI reads the annotations of functions made in functions

from typing import Any

from fastapi import APIRouter, Response

from armillary.accounts.model import Person, Principal
from armillary.base.errors import Conflict, Forbidden, NotFound
from armillary.base.ids import PersonId, ProjectId
from armillary.cloud.api.identity import views
from armillary.cloud.api.identity.faults import KeystoneJSON
from armillary.cloud.api.identity.room import (
    DOMAIN,
    JSONObject,
    Room,
    extras_of,
    need_object,
    need_text,
    some_flag,
    some_text,
    wanted_flag,
)

_KNOWN = frozenset(
    [
        "id",
        "name",
        "domain_id",
        "enabled",
        "email",
        "description",
        "password",
        "original_password",
        "default_project_id",
        "options",
        "links",
        "password_expires_at",
        "federated",
    ]
)


def add(routes: APIRouter, room: Room) -> None:
    """Add the routes."""
    _add_reading(routes, room)
    _add_writing(routes, room)


def _add_reading(routes: APIRouter, room: Room) -> None:
    @routes.api_route("/v3/users", methods=["GET", "HEAD"])
    def users(
        name: str | None = None,
        domain_id: str | None = None,
        enabled: str | None = None,
    ) -> KeystoneJSON:
        flag = wanted_flag(enabled)
        found = [
            views.user(person, room.url)
            for person in room.accounts.people()
            if domain_id in (None, DOMAIN["id"])
            and name in (None, person.user_name)
            and flag in (None, person.enabled)
        ]
        return KeystoneJSON(room.listing("users", found))

    @routes.api_route("/v3/users/{user_id}", methods=["GET", "HEAD"])
    def show(user_id: str, who: Principal = room.signed_in) -> KeystoneJSON:
        person = room.need_self(who, user_id, "identity:get_user")
        return KeystoneJSON({"user": views.user(person, room.url)})

    @routes.api_route("/v3/users/{user_id}/projects", methods=["GET", "HEAD"])
    def projects(
        user_id: str,
        name: str | None = None,
        enabled: str | None = None,
        who: Principal = room.signed_in,
    ) -> KeystoneJSON:
        person = room.need_self(who, user_id, "identity:list_user_projects")
        flag = wanted_flag(enabled)
        found = [
            views.project(project, room.url)
            for project in room.accounts.projects_open_to(person.id)
            if name in (None, project.name) and flag in (None, project.enabled)
        ]
        return KeystoneJSON(room.listing("projects", found, f"users/{user_id}/projects"))

    @routes.api_route("/v3/users/{user_id}/groups", methods=["GET", "HEAD"])
    def groups(user_id: str, who: Principal = room.signed_in) -> KeystoneJSON:
        person = room.need_self(who, user_id, "identity:list_groups_for_user")
        found = [views.group(group, room.url) for group in room.accounts.groups_with(person.id)]
        return KeystoneJSON(room.listing("groups", found, f"users/{user_id}/groups"))


def _add_writing(routes: APIRouter, room: Room) -> None:
    @routes.post("/v3/users")
    def create(body: JSONObject) -> KeystoneJSON:
        wish = need_object(body, "user")
        room.need_domain(some_text(wish, "domain_id"))
        name = need_text(wish, "name")
        try:
            person = room.accounts.create_person(
                user_name=name,
                password=some_text(wish, "password"),
                full_name=some_text(wish, "description") or "",
                email=some_text(wish, "email") or "",
                enabled=some_flag(wish, "enabled") is not False,
                default_project_id=_default_project(wish),
                extras=extras_of(wish, _KNOWN, {}),
            )
        except Conflict as error:
            raise _duplicate(name) from error
        return KeystoneJSON({"user": views.user(person, room.url)}, status_code=201)

    @routes.patch("/v3/users/{user_id}")
    def update(user_id: str, body: JSONObject, who: Principal = room.signed_in) -> KeystoneJSON:
        person = _within_reach(who, room.person(user_id))
        wish = need_object(body, "user")
        password = some_text(wish, "password")
        if password is not None:
            room.accounts.set_password(person.id, password)
        changed = room.accounts.update_person(
            person.id,
            user_name=some_text(wish, "name"),
            full_name=some_text(wish, "description"),
            email=some_text(wish, "email"),
            enabled=some_flag(wish, "enabled"),
            default_project_id=_default_project(wish),
            extras=extras_of(wish, _KNOWN, person.extras),
        )
        return KeystoneJSON({"user": views.user(changed, room.url)})

    @routes.delete("/v3/users/{user_id}")
    def delete(user_id: str, who: Principal = room.signed_in) -> Response:
        room.accounts.delete_person(_within_reach(who, room.person(user_id)).id)
        return Response(status_code=204)

    @routes.post("/v3/users/{user_id}/password")
    def change_password(user_id: str, body: JSONObject) -> Response:
        # no token is asked for, as in Keystone: the old password is the proof
        wish = need_object(body, "user")
        old, new = need_text(wish, "original_password"), need_text(wish, "password")
        try:
            room.accounts.change_password(PersonId(user_id), old, new)
        except NotFound:
            room.accounts.authenticate("\0", old)  # refuses, after the work that a wrong password costs
        return Response(status_code=204)


def _default_project(wish: dict[str, Any]) -> ProjectId | None:
    wanted = some_text(wish, "default_project_id")
    return None if wanted is None else ProjectId(wanted)


def _within_reach(who: Principal, person: Person) -> Person:
    """Return the person, unless that one administers the platform and the caller only clouds.

    Else whoever has Keystone's `admin` in some project could give an administrator of the platform a new password.
    """
    if person.is_admin and not who.person.is_admin:
        raise Forbidden("Only an administrator of the platform may change another.")
    return person


def _duplicate(name: str) -> Conflict:
    return Conflict(
        "Conflict occurred attempting to store user - Duplicate entry found with name "
        f"{name} at domain ID default."
    )
