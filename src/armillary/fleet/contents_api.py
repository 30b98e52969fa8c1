"""`/api/v1/images/…`: what is inside of images, how two differ, and where one comes from."""

# no `from __future__ import annotations` here: FastAPI could not resolve the dependencies that close over `router`

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse, Response

from armillary.accounts.model import Principal, Project
from armillary.base.errors import Forbidden, Unavailable
from armillary.disks.comparing import compare, shape
from armillary.disks.model import Manifest
from armillary.fleet.api import SCOPE, Memberships, choose_project
from armillary.fleet.contents import ImageContents, Look
from armillary.fleet.lineage import Lineages
from armillary.fleet.model import FleetImage


@dataclass(frozen=True, kw_only=True)
class Inside:
    """What tells of images beside the fleet: made by the wiring."""

    contents: ImageContents
    lineages: Lineages
    find: Callable[[Project, str], FleetImage]


def contents_router(
    *, inside: Inside, memberships: Memberships, authenticate: Callable[..., Principal]
) -> APIRouter:
    """Return the routes; `authenticate` is the dependency that answers who asks."""
    routes = APIRouter(prefix="/api/v1/images", tags=["images"])
    contents = inside.contents

    def project_of(
        who: Annotated[Principal, Depends(authenticate)], project: Annotated[str | None, Query()] = None
    ) -> Project:
        if not who.allows(SCOPE):
            raise Forbidden(
                "This credential is not for looking at images.",
                code="scope_missing",
                facts={"scope": SCOPE},
                remedy="Sign in, or make a token without limits.",
            )
        return choose_project(memberships, who, project)

    @routes.get("/{image}/packages", response_model=None)
    def packages(image: str, project: Annotated[Project, Depends(project_of)]) -> Response:
        look = contents.look(project, image)
        if not look.ready:
            return _reading(look)
        known = contents.packages(look.image.sha512 or "")
        if known is None:
            raise _lost()
        return JSONResponse({"state": "ready", **_named(look), **known})

    @routes.get("/{before}/diff/{after}", response_model=None)
    def diff(before: str, after: str, project: Annotated[Project, Depends(project_of)]) -> Response:
        looks = [contents.look(project, name) for name in (before, after)]
        for look in looks:
            if not look.ready:
                return _reading(look)
        old, new = (_manifest(contents, look) for look in looks)
        body = {"before": _named(looks[0]), "after": _named(looks[1]), **shape(compare(old, new))}
        return JSONResponse({"state": "ready", **body, "problems": [*old.problems, *new.problems]})

    @routes.get("/{image}/lineage")
    def lineage(image: str, project: Annotated[Project, Depends(project_of)]) -> dict[str, Any]:
        found = inside.find(project, image)
        return {"steps": [step.as_dict() for step in inside.lineages.of(project, found)]}

    return routes


def _named(look: Look) -> dict[str, Any]:
    return {"name": look.image.name, "sha512": look.image.sha512}


def _reading(look: Look) -> Response:
    return JSONResponse({"state": "reading", **_named(look), "told": look.told}, status_code=202)


def _manifest(contents: ImageContents, look: Look) -> Manifest:
    found = contents.manifest(look.image.sha512 or "")
    if found is None:
        raise _lost()
    return found


def _lost() -> Unavailable:
    return Unavailable(
        "What was written down of this image was lost.",
        code="manifest_lost",
        remedy="Ask again: it is read once more.",
    )
