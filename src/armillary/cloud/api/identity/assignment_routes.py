"""Roles, and who has which in a project or in the system.

Giving Keystone's `admin` to somebody makes an administrator of the cloud, as it does in any OpenStack: the
person becomes an administrator of the platform. Only such administrators can do it.

Reader, member and manager of the system are taken and have no effect: that gives less than was asked.
"""

# no `from __future__ import annotations` here: FastAPI reads the annotations of functions made in functions

from typing import Any

from fastapi import APIRouter, Query, Response

from armillary.accounts.model import Person, Principal, Project, Role
from armillary.base.errors import Forbidden, NotFound
from armillary.base.ids import PersonId, ProjectId
from armillary.cloud.api.identity import views
from armillary.cloud.api.identity.faults import KeystoneJSON, need_admin
from armillary.cloud.api.identity.roles import IMPLIED, NAMES, role_document, role_named, shown
from armillary.cloud.api.identity.room import DOMAIN, Room

_IN_PROJECT = "/v3/projects/{project_id}/users/{user_id}/roles"
_IN_SYSTEM = "/v3/system/users/{user_id}/roles"


def add(routes: APIRouter, room: Room) -> None:
    """Add the routes."""
    _add_roles(routes, room)
    _add_in_project(routes, room)
    _add_in_system(routes, room)
    _add_assignments(routes, room)


def _add_roles(routes: APIRouter, room: Room) -> None:
    @routes.api_route("/v3/roles", methods=["GET", "HEAD"])
    def roles(
        name: str | None = None, domain_id: str | None = None, who: Principal = room.signed_in
    ) -> KeystoneJSON:
        need_admin(who, "identity:list_roles")
        found = [views.role(n, room.url) for n in NAMES if name in (None, n) and not domain_id]
        return KeystoneJSON(room.listing("roles", found))

    @routes.post("/v3/roles")
    def create(who: Principal = room.signed_in) -> None:
        need_admin(who, "identity:create_role")
        raise Forbidden("The roles of this cloud are fixed: " + ", ".join(NAMES) + ".")

    @routes.api_route("/v3/roles/{role_id}", methods=["GET", "HEAD"])
    def role(role_id: str, who: Principal = room.signed_in) -> KeystoneJSON:
        need_admin(who, "identity:get_role")
        return KeystoneJSON({"role": views.role(role_named(role_id), room.url)})

    @routes.api_route("/v3/role_inferences", methods=["GET", "HEAD"])
    def inferences(who: Principal = room.signed_in) -> KeystoneJSON:
        need_admin(who, "identity:list_role_inference_rules")
        rules = [
            {"prior_role": role_document(prior), "implies": [role_document(implied)]}
            for prior, implied in IMPLIED
        ]
        return KeystoneJSON(room.listing("role_inferences", rules))


def _add_in_project(routes: APIRouter, room: Room) -> None:
    def parties(project_id: str, user_id: str) -> tuple[Project, Person]:
        return room.project(project_id), room.person(user_id)

    def held(project: Project, person: Person) -> list[str]:
        grants = room.accounts.grants(project_id=project.id, person_id=person.id)
        return shown([role for _, _, role in grants], is_admin=person.is_admin)

    @routes.api_route(_IN_PROJECT, methods=["GET", "HEAD"])
    def roles(project_id: str, user_id: str, who: Principal = room.signed_in) -> KeystoneJSON:
        need_admin(who, "identity:list_grants")
        found = [views.role(name, room.url) for name in held(*parties(project_id, user_id))]
        return KeystoneJSON(room.listing("roles", found, f"projects/{project_id}/users/{user_id}/roles"))

    @routes.put(_IN_PROJECT + "/{role_id}")
    def grant(project_id: str, user_id: str, role_id: str, who: Principal = room.signed_in) -> Response:
        need_admin(who, "identity:create_grant")
        project, person = parties(project_id, user_id)
        role = _grantable(role_id)
        if role is Role.ADMIN:
            room.accounts.update_person(person.id, is_admin=True)
        room.accounts.grant(project.id, person.id, role)
        return Response(status_code=204)

    @routes.api_route(_IN_PROJECT + "/{role_id}", methods=["GET", "HEAD"])
    def check(project_id: str, user_id: str, role_id: str, who: Principal = room.signed_in) -> Response:
        need_admin(who, "identity:check_grant")
        name = role_named(role_id)
        if name not in held(*parties(project_id, user_id)):
            raise _no_assignment(name)
        return Response(status_code=204)

    @routes.delete(_IN_PROJECT + "/{role_id}")
    def revoke(project_id: str, user_id: str, role_id: str, who: Principal = room.signed_in) -> Response:
        need_admin(who, "identity:revoke_grant")
        project, person = parties(project_id, user_id)
        name = role_named(role_id)
        if name not in held(project, person):
            raise _no_assignment(name)
        if name == Role.ADMIN:
            room.accounts.update_person(person.id, is_admin=False)
        for _, _, role in room.accounts.grants(project_id=project.id, person_id=person.id):
            # what was shown as `manager` may be our `admin` of a project
            if shown([role], is_admin=person.is_admin) == [name]:
                room.accounts.revoke_grant(project.id, person.id, role)
        return Response(status_code=204)


def _add_in_system(routes: APIRouter, room: Room) -> None:
    @routes.api_route(_IN_SYSTEM, methods=["GET", "HEAD"])
    def roles(user_id: str, who: Principal = room.signed_in) -> KeystoneJSON:
        need_admin(who, "identity:list_system_grants_for_user")
        names = ["admin"] if room.person(user_id).is_admin else []
        found = [views.role(name, room.url) for name in names]
        return KeystoneJSON(room.listing("roles", found, f"system/users/{user_id}/roles"))

    @routes.put(_IN_SYSTEM + "/{role_id}")
    def grant(user_id: str, role_id: str, who: Principal = room.signed_in) -> Response:
        need_admin(who, "identity:create_system_grant_for_user")
        person = room.person(user_id)
        if _grantable(role_id) is Role.ADMIN:
            room.accounts.update_person(person.id, is_admin=True)
        return Response(status_code=204)

    @routes.api_route(_IN_SYSTEM + "/{role_id}", methods=["GET", "HEAD"])
    def check(user_id: str, role_id: str, who: Principal = room.signed_in) -> Response:
        need_admin(who, "identity:check_system_grant_for_user")
        if not (room.person(user_id).is_admin and role_named(role_id) == Role.ADMIN):
            raise _no_assignment(role_id)
        return Response(status_code=204)

    @routes.delete(_IN_SYSTEM + "/{role_id}")
    def revoke(user_id: str, role_id: str, who: Principal = room.signed_in) -> Response:
        need_admin(who, "identity:revoke_system_grant_for_user")
        person = room.person(user_id)
        if not (person.is_admin and role_named(role_id) == Role.ADMIN):
            raise _no_assignment(role_id)
        room.accounts.update_person(person.id, is_admin=False)
        return Response(status_code=204)


def _add_assignments(routes: APIRouter, room: Room) -> None:
    @routes.api_route("/v3/role_assignments", methods=["GET", "HEAD"])
    def assignments(  # called by FastAPI, which names every parameter
        user_id: str | None = Query(None, alias="user.id"),
        project_id: str | None = Query(None, alias="scope.project.id"),
        role_id: str | None = Query(None, alias="role.id"),
        system: str | None = Query(None, alias="scope.system"),
        include_names: str | None = None,
        effective: str | None = None,
        who: Principal = room.signed_in,
    ) -> KeystoneJSON:
        need_admin(who, "identity:list_role_assignments")
        people = {person.id: person for person in room.accounts.people()}
        projects = {project.id: project for project in room.accounts.projects()}
        named, implied = include_names is not None, effective is not None
        found: list[dict[str, Any]] = []
        if system is None:
            grants = room.accounts.grants(
                project_id=ProjectId(project_id) if project_id else None,
                person_id=PersonId(user_id) if user_id else None,
            )
            held: dict[tuple[PersonId, ProjectId], set[Role]] = {}
            for person_id, in_project, role in grants:
                held.setdefault((person_id, in_project), set()).update(role.implied if implied else {role})
            for (person_id, in_project), granted in held.items():
                person = people[person_id]
                scope = {"project": _named(projects[in_project].id, projects[in_project].name, named)}
                names = shown(granted, is_admin=person.is_admin)
                found += [_assignment(room, person, name, scope, named) for name in names]
        if project_id is None:
            admins = [p for p in people.values() if p.is_admin and user_id in (None, p.id)]
            scope = {"system": {"all": True}}
            found += [_assignment(room, person, "admin", scope, named) for person in admins]
        found = [one for one in found if role_id in (None, one["role"]["id"])]
        return KeystoneJSON(room.listing("role_assignments", found))


def _named(thing_id: str, name: str, named: bool) -> dict[str, Any]:
    return {"id": thing_id, "name": name, "domain": DOMAIN} if named else {"id": thing_id}


def _assignment(room: Room, person: Person, role: str, scope: dict[str, Any], named: bool) -> dict[str, Any]:
    short = role_document(role)
    place = "system" if "system" in scope else f"projects/{scope['project']['id']}"
    return {
        "role": short if named else {"id": short["id"]},
        "user": _named(person.id, person.user_name, named),
        "scope": scope,
        "links": {"assignment": f"{room.url}/{place}/users/{person.id}/roles/{short['id']}"},
    }


def _grantable(role_id: str) -> Role:
    name = role_named(role_id)
    if name == "service":
        raise Forbidden("The role service cannot be given in this cloud.")
    return Role(name)


def _no_assignment(role: str) -> NotFound:
    return NotFound(f"Could not find role assignment with role: {role}.")
