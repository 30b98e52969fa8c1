"""`/v3/groups`: people who are given roles together."""

# no `from __future__ import annotations` here: FastAPI reads the annotations of functions made in functions

from fastapi import APIRouter, Response

from armillary.base.errors import Conflict, NotFound
from armillary.cloud.api.identity import views
from armillary.cloud.api.identity.faults import KeystoneJSON
from armillary.cloud.api.identity.room import DOMAIN, JSONObject, Room, need_object, need_text, some_text


def add(routes: APIRouter, room: Room) -> None:
    """Add the routes."""
    _add_groups(routes, room)
    _add_members(routes, room)


def _add_groups(routes: APIRouter, room: Room) -> None:
    @routes.api_route("/v3/groups", methods=["GET", "HEAD"])
    def groups(name: str | None = None, domain_id: str | None = None) -> KeystoneJSON:
        found = [
            views.group(group, room.url)
            for group in room.accounts.groups()
            if name in (None, group.name) and domain_id in (None, DOMAIN["id"])
        ]
        return KeystoneJSON(room.listing("groups", found))

    @routes.post("/v3/groups")
    def create(body: JSONObject) -> KeystoneJSON:
        wish = need_object(body, "group")
        room.need_domain(some_text(wish, "domain_id"))
        name = need_text(wish, "name")
        try:
            group = room.accounts.create_group(name, some_text(wish, "description") or "")
        except Conflict as error:
            raise _duplicate(name) from error
        return KeystoneJSON({"group": views.group(group, room.url)}, status_code=201)

    @routes.api_route("/v3/groups/{group_id}", methods=["GET", "HEAD"])
    def show(group_id: str) -> KeystoneJSON:
        return KeystoneJSON({"group": views.group(room.group(group_id), room.url)})

    @routes.patch("/v3/groups/{group_id}")
    def update(group_id: str, body: JSONObject) -> KeystoneJSON:
        room.group(group_id)
        wish = need_object(body, "group")
        name = some_text(wish, "name")
        try:
            group = room.accounts.update_group(
                group_id, name=name, description=some_text(wish, "description")
            )
        except Conflict as error:
            raise _duplicate(name or "") from error
        return KeystoneJSON({"group": views.group(group, room.url)})

    @routes.delete("/v3/groups/{group_id}")
    def delete(group_id: str) -> Response:
        room.accounts.delete_group(room.group(group_id).id)
        return Response(status_code=204)


def _add_members(routes: APIRouter, room: Room) -> None:
    @routes.api_route("/v3/groups/{group_id}/users", methods=["GET", "HEAD"])
    def members(group_id: str) -> KeystoneJSON:
        people = room.accounts.group_members(room.group(group_id).id)
        shown = [views.user(person, room.url) for person in people]
        return KeystoneJSON(room.listing("users", shown, f"groups/{group_id}/users"))

    @routes.put("/v3/groups/{group_id}/users/{user_id}")
    def put(group_id: str, user_id: str) -> Response:
        room.accounts.add_to_group(room.group(group_id).id, room.person(user_id).id)
        return Response(status_code=204)

    @routes.api_route("/v3/groups/{group_id}/users/{user_id}", methods=["GET", "HEAD"])
    def check(group_id: str, user_id: str) -> Response:
        person = room.person(user_id)
        if person not in room.accounts.group_members(room.group(group_id).id):
            raise _not_inside(group_id, user_id)
        return Response(status_code=204)

    @routes.delete("/v3/groups/{group_id}/users/{user_id}")
    def drop(group_id: str, user_id: str) -> Response:
        group, person = room.group(group_id), room.person(user_id)
        try:
            room.accounts.remove_from_group(group.id, person.id)
        except NotFound as error:
            raise _not_inside(group_id, user_id) from error
        return Response(status_code=204)


def _not_inside(group_id: str, user_id: str) -> NotFound:
    return NotFound(f"User '{user_id}' not found in group '{group_id}'.")


def _duplicate(name: str) -> Conflict:
    return Conflict(
        f"Conflict occurred attempting to store group - Duplicate entry found with name {name} at domain ID "
        f"{DOMAIN['id']}."
    )
