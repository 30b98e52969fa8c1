"""`/api/v1/clouds`: the clouds, their sizes and images, and the room that they have, for a member of a project."""

# no `from __future__ import annotations` here: FastAPI could not resolve the dependencies that close over `router`

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import APIRouter, Depends, Query

from armillary.accounts.model import Membership, Principal, Project
from armillary.base.clock import to_iso
from armillary.base.errors import ArmillaryError, Forbidden, Invalid, NotFound
from armillary.base.ids import CloudName, PersonId
from armillary.fleet.model import FleetImage
from armillary.fleet.service import FleetService

SCOPE = "clouds:read"
"""What a limited credential must name to be used here."""


Thing = TypeVar("Thing")
PAGE = 1000
"""the most that a list answers at once"""
Limit = Annotated[int, Query(ge=1, le=PAGE)]
Marker = Annotated[str | None, Query(max_length=64)]
"""the id of the last one of the page before, as OpenStack's lists have it"""


class Memberships(Protocol):
    """Whoever knows which projects a person has: the accounts service."""

    def projects_of(self, person_id: PersonId) -> Sequence[Membership]: ...


def router(
    *, fleet: FleetService, memberships: Memberships, authenticate: Callable[..., Principal]
) -> APIRouter:
    """Return the routes; `authenticate` is the dependency that answers who asks."""
    routes = APIRouter(prefix="/api/v1/clouds", tags=["clouds"])

    def project_of(
        who: Annotated[Principal, Depends(authenticate)], project: Annotated[str | None, Query()] = None
    ) -> Project:
        if not who.allows(SCOPE):
            raise Forbidden(
                "This credential is not for looking at clouds.",
                code="scope_missing",
                facts={"scope": SCOPE},
                remedy="Sign in, or make a token without limits.",
            )
        return choose_project(memberships, who, project)

    @routes.get("")
    def clouds(project: Annotated[Project, Depends(project_of)]) -> dict[str, Any]:
        return {"project": project.name, "clouds": [_cloud(fleet, name, project) for name in fleet.clouds()]}

    @routes.get("/{cloud}/flavors")
    def flavors(cloud: str, project: Annotated[Project, Depends(project_of)]) -> dict[str, Any]:
        return {"flavors": [asdict(flavor) for flavor in fleet.flavors(CloudName(cloud), project)]}

    @routes.get("/{cloud}/images")
    def images(
        cloud: str,
        project: Annotated[Project, Depends(project_of)],
        digest: Annotated[str | None, Query(max_length=128)] = None,
        limit: Limit = PAGE,
        marker: Marker = None,
    ) -> dict[str, Any]:
        found = [
            image
            for image in fleet.images(CloudName(cloud), project)
            if digest is None or str(image.sha512 or "").startswith(digest.lower())
        ]
        shown, following = page_of(found, key=lambda image: image.id, limit=limit, marker=marker)
        return {"images": [image_shape(image) for image in shown], "next": following}

    @routes.get("/{cloud}/room")
    def room(cloud: str, flavor: str, project: Annotated[Project, Depends(project_of)]) -> dict[str, Any]:
        found = fleet.room(CloudName(cloud), project, flavor)
        return {"count": found.count, "refusals": [refusal.as_dict() for refusal in found.refusals]}

    return routes


def choose_project(memberships: Memberships, who: Principal, name: str | None) -> Project:
    """Return the project that the caller means: by name, else the credential's, else the only one.

    Raises:
        NotFound: code `project_not_found`; also for projects of others, and for all but the credential's own.
        Invalid: code `project_ambiguous`, when none is named and there are several.
    """
    if who.project:
        mine = [who.project]
    else:
        mine = [membership.project for membership in memberships.projects_of(who.person.id)]
    if name is None:
        if len(mine) == 1:
            return mine[0]
        raise Invalid(
            "Several projects are yours; this needs one." if mine else "You have no project yet.",
            code="project_ambiguous" if mine else "no_project",
            facts={"projects": [project.name for project in mine]},
            remedy="Name the project." if mine else "Ask for a project, and wait until it is approved.",
        )
    for project in mine:
        if name in (project.name, project.id):
            return project
    raise NotFound(
        f"You have no project {name}.",
        code="project_not_found",
        facts={"project": name, "projects": [project.name for project in mine]},
        remedy="Choose one of your projects.",
    )


def page_of(
    found: Sequence[Thing], *, key: Callable[[Thing], str], limit: int, marker: str | None
) -> tuple[Sequence[Thing], str | None]:
    """Return those after the marker, and the marker of the next page, if there is one.

    Raises:
        Invalid: code `marker_not_found`: it is none of them, or is gone since.
    """
    begin = 0
    if marker is not None:
        places = [place for place, one in enumerate(found) if key(one) == marker]
        if not places:
            raise Invalid(
                f"The list has no {marker} to go on from.",
                code="marker_not_found",
                facts={"field": "marker", "marker": marker},
                remedy="Start again from the first page.",
            )
        begin = places[0] + 1
    shown = found[begin : begin + limit]
    return shown, key(shown[-1]) if begin + limit < len(found) else None


def image_shape(image: FleetImage) -> dict[str, Any]:
    """The JSON shape of an image."""
    return {**asdict(image), "created_at": to_iso(image.created_at)}


def _cloud(fleet: FleetService, name: CloudName, project: Project) -> dict[str, Any]:
    try:
        return {"name": name, "answers": True, "limits": asdict(fleet.limits(name, project))}
    except ArmillaryError as error:  # one silent cloud must not hide the others
        return {"name": name, "answers": False, **error.as_dict()}
