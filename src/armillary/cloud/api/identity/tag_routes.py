"""`/v3/projects/{project}/tags`: words by which projects are found."""

# no `from __future__ import annotations` here: FastAPI reads the annotations of functions made in functions

from collections.abc import Mapping
from typing import Any, cast

from fastapi import APIRouter, Response

from armillary.accounts.model import Principal, Project
from armillary.base.errors import NotFound
from armillary.cloud.api.identity.faults import KeystoneJSON, Missing, need_reader
from armillary.cloud.api.identity.room import JSONObject, Room

_TAGS = "/v3/projects/{project_id}/tags"


def tags_of(body: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the tags in a body, or None if there are none."""
    if "tags" not in body:
        return None
    tags = body["tags"]
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in cast("list[Any]", tags)):
        raise Missing("tags", "is not of type 'array'")
    return tuple(cast("list[str]", tags))


def matches(project: Project, query: Mapping[str, str]) -> bool:
    """Whether a project has and lacks the tags that a query names."""
    mine = set(project.tags)

    def named(key: str) -> set[str]:
        return {tag for tag in query.get(key, "").split(",") if tag}

    return (
        named("tags") <= mine
        and (not named("tags-any") or bool(named("tags-any") & mine))
        and (not named("not-tags") or not named("not-tags") <= mine)
        and not named("not-tags-any") & mine
    )


def add(routes: APIRouter, room: Room) -> None:
    """Add the routes."""

    def need_reach(who: Principal, project_id: str, action: str) -> Project:
        if who.project is None or who.project.id != project_id:
            need_reader(who, action)
        return room.project(project_id)

    def change(project: Project, tags: tuple[str, ...]) -> KeystoneJSON:
        changed = room.accounts.update_project(project.id, tags=tags)
        return KeystoneJSON(document(changed))

    def document(project: Project) -> dict[str, Any]:
        return {"tags": list(project.tags), "links": {"self": f"{room.url}/projects/{project.id}/tags"}}

    @routes.api_route(_TAGS, methods=["GET", "HEAD"])
    def tags(project_id: str, who: Principal = room.signed_in) -> KeystoneJSON:
        return KeystoneJSON(document(need_reach(who, project_id, "identity:list_project_tags")))

    @routes.put(_TAGS)
    def replace(project_id: str, body: JSONObject) -> KeystoneJSON:
        wanted = tags_of(body)
        if wanted is None:
            raise Missing("tags")
        return change(room.project(project_id), wanted)

    @routes.delete(_TAGS)
    def clear(project_id: str) -> Response:
        change(room.project(project_id), ())
        return Response(status_code=204)

    @routes.api_route(_TAGS + "/{tag}", methods=["GET", "HEAD"])
    def check(project_id: str, tag: str, who: Principal = room.signed_in) -> Response:
        project = need_reach(who, project_id, "identity:get_project_tag")
        if tag not in project.tags:
            raise NotFound(f"Could not find project tag: {tag}.")
        return Response(status_code=204)

    @routes.put(_TAGS + "/{tag}")
    def put(project_id: str, tag: str) -> Response:
        project = room.project(project_id)
        change(project, tuple(dict.fromkeys([*project.tags, tag])))
        headers = {"Location": f"{room.url}/projects/{project_id}/tags/{tag}"}
        return Response(status_code=201, headers=headers)

    @routes.delete(_TAGS + "/{tag}")
    def drop(project_id: str, tag: str) -> Response:
        project = room.project(project_id)
        if tag not in project.tags:
            raise NotFound(f"Could not find project tag: {tag}.")
        change(project, tuple(kept for kept in project.tags if kept != tag))
        return Response(status_code=204)
