"""Roles, and who has which in a project, in the domain or in the system.

Keystone's `admin`, given in any of them, makes the tokens for that place those of an administrator of the cloud, as in any
OpenStack. It does not make an administrator of the platform: docs/decisions/0008.
"""

# no `from __future__ import annotations` here: FastAPI reads the annotations of functions made in functions

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Query, Response
from starlette.requests import Request

from armillary.accounts.model import CloudScope, Group, Person, Role
from armillary.base.errors import Forbidden, Invalid, NotFound
from armillary.base.ids import ProjectId
from armillary.cloud.api.identity import views
from armillary.cloud.api.identity.faults import KeystoneJSON
from armillary.cloud.api.identity.places import Grants, Party, Place, party_path
from armillary.cloud.api.identity.roles import (
    ADMIN,
    IMPLIED,
    NAMES,
    our_role,
    role_document,
    role_named,
    shown,
    with_implied,
)
from armillary.cloud.api.identity.room import DOMAIN, Room, wanted_flag


def add(routes: APIRouter, room: Room) -> None:
    """Add the routes."""
    _add_roles(routes, room)

    def in_project(request: Request) -> Place:
        return Place(project=room.project(request.path_params["project_id"]))

    def in_domain(request: Request) -> Place:
        domain_id = request.path_params["domain_id"]
        if domain_id != DOMAIN["id"]:
            raise NotFound(f"Could not find domain: {domain_id}.")
        return Place(scope=CloudScope.DOMAIN)

    def in_system(request: Request) -> Place:
        return Place(scope=CloudScope.SYSTEM)

    def of_user(request: Request) -> Party:
        return room.person(request.path_params["user_id"])

    def of_group(request: Request) -> Party:
        return room.group(request.path_params["group_id"])

    for path, place in (
        ("/v3/projects/{project_id}", in_project),
        ("/v3/domains/{domain_id}", in_domain),
        ("/v3/system", in_system),
    ):
        users, groups = (
            ("system_grant_for_user", "system_grant_for_group") if place is in_system else ("grant",) * 2
        )
        _add_grants(routes, room, path + "/users/{user_id}/roles", place, of_user, users)
        _add_grants(routes, room, path + "/groups/{group_id}/roles", place, of_group, groups)
    _add_assignments(routes, room)


def _add_roles(routes: APIRouter, room: Room) -> None:
    @routes.api_route("/v3/roles", methods=["GET", "HEAD"])
    def roles(name: str | None = None, domain_id: str | None = None) -> KeystoneJSON:
        found = [views.role(n, room.url) for n in NAMES if name in (None, n) and not domain_id]
        return KeystoneJSON(room.listing("roles", found))

    @routes.post("/v3/roles")
    def create() -> None:
        raise _fixed()

    @routes.api_route("/v3/roles/{role_id}", methods=["GET", "HEAD"])
    def role(role_id: str) -> KeystoneJSON:
        return KeystoneJSON({"role": views.role(role_named(role_id), room.url)})

    @routes.api_route("/v3/roles/{role_id}", methods=["PATCH", "DELETE"])
    def change(role_id: str) -> None:
        role_named(role_id)
        raise _fixed()

    @routes.api_route("/v3/roles/{role_id}/implies", methods=["GET", "HEAD"])
    def implies(role_id: str) -> KeystoneJSON:
        name = role_named(role_id)
        implied = [role_document(weaker) for prior, weaker in IMPLIED if prior == name]
        body = {"role_inference": {"prior_role": role_document(name), "implies": implied}}
        return KeystoneJSON(body | {"links": {"self": f"{room.url}/roles/{role_id}/implies"}})

    @routes.api_route("/v3/role_inferences", methods=["GET", "HEAD"])
    def inferences() -> KeystoneJSON:
        rules = [
            {"prior_role": role_document(prior), "implies": [role_document(implied)]}
            for prior, implied in IMPLIED
        ]
        return KeystoneJSON(room.listing("role_inferences", rules))


def _add_grants(
    routes: APIRouter,
    room: Room,
    path: str,
    place_of: Callable[[Request], Place],
    party_of: Callable[[Request], Party],
    action: str,
) -> None:
    grants = Grants(accounts=room.accounts)

    @routes.api_route(path, methods=["GET", "HEAD"])
    def roles(request: Request) -> KeystoneJSON:
        place, party = place_of(request), party_of(request)
        found = [views.role(name, room.url) for name in grants.names(place, party)]
        return KeystoneJSON(room.listing("roles", found, f"{place.path}/{party_path(party)}/roles"))

    @routes.put(path + "/{role_id}")
    def grant(request: Request, role_id: str) -> Response:
        grants.give(place_of(request), party_of(request), role_id)
        return Response(status_code=204)

    @routes.api_route(path + "/{role_id}", methods=["GET", "HEAD"])
    def check(request: Request, role_id: str) -> Response:
        grants.need(place_of(request), party_of(request), role_id)
        return Response(status_code=204)

    @routes.delete(path + "/{role_id}")
    def revoke(request: Request, role_id: str) -> Response:
        grants.take(place_of(request), party_of(request), role_id)
        return Response(status_code=204)


def _add_assignments(routes: APIRouter, room: Room) -> None:
    @routes.api_route("/v3/role_assignments", methods=["GET", "HEAD"])
    def assignments(  # called by FastAPI, which names every parameter
        user_id: str | None = Query(None, alias="user.id"),
        project_id: str | None = Query(None, alias="scope.project.id"),
        domain_id: str | None = Query(None, alias="scope.domain.id"),
        role_id: str | None = Query(None, alias="role.id"),
        group_id: str | None = Query(None, alias="group.id"),
        system: str | None = Query(None, alias="scope.system"),
        include_names: str | None = None,
        effective: str | None = None,
    ) -> KeystoneJSON:
        named, implied = bool(wanted_flag(include_names)), bool(wanted_flag(effective))
        anywhere = not (project_id or domain_id or system)
        found: list[dict[str, Any]] = []
        held = _held_by_groups(room, implied=implied) if group_id else _held(room, implied=implied)
        if not group_id and user_id is None and not implied:
            held += _held_by_groups(room, implied=implied)
        for place, party, names in held:
            within = (
                anywhere
                or (place.project is not None and place.project.id == project_id)
                or (place.project is None and place.scope is CloudScope.SYSTEM and bool(system))
                or (place.project is None and place.scope is CloudScope.DOMAIN and domain_id == DOMAIN["id"])
            )
            if within and (group_id or user_id) in (None, party.id):
                found += [_assignment(room, place, party, name, named=named) for name in names]
        found = [one for one in found if role_id in (None, one["role"]["id"])]
        return KeystoneJSON(room.listing("role_assignments", found))


def _held(room: Room, *, implied: bool) -> list[tuple[Place, Party, list[str]]]:
    """Which roles people have where, by Keystone's names; `implied`: those by groups and by other roles too."""
    people = {person.id: person for person in room.accounts.people()}
    projects = {project.id: project for project in room.accounts.projects()}
    held: dict[tuple[Place, Person], set[Role]] = {}
    for person_id, in_project, role in room.accounts.grants():
        held.setdefault((Place(project=projects[in_project]), people[person_id]), set()).add(role)
    for person_id, scope, role in room.accounts.cloud_grants():
        held.setdefault((Place(scope=scope), people[person_id]), set()).add(role)
    for given in room.accounts.group_grants() if implied else []:
        where = Place(project=projects.get(given.project_id or ProjectId("")), scope=given.cloud_scope)
        for person in room.accounts.group_members(given.group_id):
            held.setdefault((where, person), set()).add(given.role)
    for person in people.values():
        if person.is_admin:
            held.setdefault((Place(scope=CloudScope.SYSTEM), person), set()).add(our_role(ADMIN))
    found: list[tuple[Place, Party, list[str]]] = []
    for (place, person), roles in held.items():
        names = shown(roles, is_admin=person.is_admin)
        found.append((place, person, with_implied(names) if implied else names))
    return found


def _held_by_groups(room: Room, *, implied: bool) -> list[tuple[Place, Party, list[str]]]:
    """Which roles groups have where; nobody asks for the roles in effect of a group, whose members have them."""
    groups = {group.id: group for group in room.accounts.groups()}
    projects = {project.id: project for project in room.accounts.projects()}
    if implied:
        raise Invalid("Specifying a group and effective makes no sense: the roles in effect are of users.")
    return [
        (
            Place(project=projects.get(given.project_id or ProjectId("")), scope=given.cloud_scope),
            groups[given.group_id],
            shown([given.role]),
        )
        for given in room.accounts.group_grants()
    ]


def _assignment(room: Room, place: Place, party: Party, role: str, *, named: bool) -> dict[str, Any]:
    short = role_document(role)
    name = party.name if isinstance(party, Group) else party.user_name
    who = {"id": party.id} | ({"name": name, "domain": DOMAIN} if named else {})
    return {
        "role": short if named else {"id": short["id"]},
        "group" if isinstance(party, Group) else "user": who,
        "scope": place.document(named=named),
        "links": {"assignment": f"{room.url}/{place.path}/{party_path(party)}/roles/{short['id']}"},
    }


def _fixed() -> Forbidden:
    return Forbidden("The roles of this cloud are fixed: " + ", ".join(NAMES) + ".")
