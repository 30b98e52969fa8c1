"""`/v3/projects` and the one domain that they are in."""

# no `from __future__ import annotations` here: FastAPI reads the annotations of functions made in functions

from typing import Any

from fastapi import APIRouter, Response
from starlette.requests import Request

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, Forbidden, Invalid, NotFound
from armillary.base.ids import ProjectId
from armillary.cloud.api.identity import views
from armillary.cloud.api.identity.faults import KeystoneJSON, denied, need_reader
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
from armillary.cloud.api.identity.tag_routes import matches, tags_of

NAME_MAX = 64
"""Characters; Keystone's own bound."""
_KNOWN = frozenset(
    [
        "id",
        "name",
        "domain_id",
        "parent_id",
        "is_domain",
        "enabled",
        "description",
        "tags",
        "options",
        "links",
        "parents",
        "subtree",
    ]
)


def add(routes: APIRouter, room: Room) -> None:
    """Add the routes."""
    _add_projects(routes, room)
    _add_domains(routes, room)


def _add_projects(routes: APIRouter, room: Room) -> None:
    @routes.api_route("/v3/projects", methods=["GET", "HEAD"])
    def projects(
        request: Request,
        name: str | None = None,
        domain_id: str | None = None,
        parent_id: str | None = None,
        enabled: str | None = None,
    ) -> KeystoneJSON:
        elsewhere = any(value not in (None, DOMAIN["id"]) for value in (domain_id, parent_id))
        flag = wanted_flag(enabled)
        found = [
            views.project(project, room.url)
            for project in room.accounts.projects()
            if not elsewhere
            and name in (None, project.name)
            and flag in (None, project.enabled)
            and matches(project, request.query_params)
        ]
        return KeystoneJSON(room.listing("projects", found))

    @routes.post("/v3/projects")
    def create(body: JSONObject) -> KeystoneJSON:
        wish = need_object(body, "project")
        _need_default_domain(wish)
        name = need_text(wish, "name")
        _short(name)
        try:
            project = room.accounts.create_project(
                name,
                some_text(wish, "description") or "",
                room.allocation,
                enabled=some_flag(wish, "enabled") is not False,
                tags=tags_of(wish) or (),
                extras=extras_of(wish, _KNOWN, {}),
                furnished=False,
            )
        except Conflict as error:
            raise _duplicate(name) from error
        return KeystoneJSON({"project": views.project(project, room.url)}, status_code=201)

    @routes.api_route("/v3/projects/{project_id}", methods=["GET", "HEAD"])
    def show(project_id: str, who: Principal = room.signed_in) -> KeystoneJSON:
        if who.project is None or who.project.id != project_id:
            need_reader(who, "identity:get_project")
        return KeystoneJSON({"project": views.project(room.project(project_id), room.url)})

    @routes.patch("/v3/projects/{project_id}")
    def update(project_id: str, body: JSONObject) -> KeystoneJSON:
        before = room.project(project_id)
        wish = need_object(body, "project")
        _need_default_domain(wish)
        name = _short(some_text(wish, "name"))
        try:
            project = room.accounts.update_project(
                ProjectId(project_id),
                name=name,
                description=some_text(wish, "description"),
                enabled=some_flag(wish, "enabled"),
                tags=tags_of(wish),
                extras=extras_of(wish, _KNOWN, before.extras),
            )
        except Conflict as error:
            raise _duplicate(name or "") from error
        return KeystoneJSON({"project": views.project(project, room.url)})

    @routes.delete("/v3/projects/{project_id}")
    def delete(project_id: str) -> Response:
        room.accounts.delete_project(room.project(project_id).id)
        return Response(status_code=204)


def _add_domains(routes: APIRouter, room: Room) -> None:
    shown: dict[str, Any] = dict(DOMAIN) | {
        "description": "The default domain",
        "enabled": True,
        "tags": [],
        "options": {},
        "links": {"self": f"{room.url}/domains/{DOMAIN['id']}"},
    }

    @routes.api_route("/v3/domains", methods=["GET", "HEAD"])
    def domains(name: str | None = None, enabled: str | None = None) -> KeystoneJSON:
        matches = name in (None, DOMAIN["name"]) and wanted_flag(enabled) in (None, True)
        return KeystoneJSON(room.listing("domains", [shown] if matches else []))

    @routes.api_route("/v3/domains/{domain_id}", methods=["GET", "HEAD"])
    def domain(domain_id: str, who: Principal = room.signed_in) -> KeystoneJSON:
        if domain_id == DOMAIN["id"]:
            return KeystoneJSON({"domain": shown})
        if not who.is_cloud_admin:
            raise denied("identity:get_domain")
        raise NotFound(f"Could not find domain: {domain_id}.")

    @routes.post("/v3/domains")
    def create() -> None:
        raise _fixed()

    @routes.patch("/v3/domains/{domain_id}")
    def update(domain_id: str) -> None:
        room.need_domain(domain_id)
        raise _fixed()

    @routes.delete("/v3/domains/{domain_id}")
    def delete(domain_id: str) -> None:
        room.need_domain(domain_id)
        raise _fixed()


def _fixed() -> Forbidden:
    return Forbidden("This cloud has one domain, default, which stays as it is.")


def _short(name: str | None) -> str | None:
    if name is not None and len(name) > NAME_MAX:
        raise Invalid(f"Invalid input for field 'name': {name!r} is too long")
    return name


def _need_default_domain(wish: dict[str, Any]) -> None:
    if wish.get("is_domain"):
        raise Invalid("This cloud has one domain, default.")
    if some_text(wish, "domain_id") not in (None, DOMAIN["id"]):
        raise NotFound(f"Could not find domain: {wish['domain_id']}.")
    if some_text(wish, "parent_id") not in (None, DOMAIN["id"]):
        raise Invalid("Projects of this cloud have no projects within them: the parent of all is the domain.")


def _duplicate(name: str) -> Conflict:
    return Conflict(
        "Conflict occurred attempting to store project - it is not permitted to have two projects with the "
        f"same name in the same domain : {name}."
    )
